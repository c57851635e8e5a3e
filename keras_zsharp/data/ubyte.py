"""Datasets in MNIST's format: a folder with four gzipped arrays of bytes."""

from __future__ import annotations

import gzip
import math
import pathlib
import zlib

import numpy as np

from keras_zsharp.data.splits import InMemory
from keras_zsharp.typing import Path

FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}


def folder(data_dir: Path | None) -> pathlib.Path | None:
    """`data_dir`, if it has the files of a dataset. None if it has none of them.

    Raises:
        ValueError: `data_dir` has some of the files, but not all.
    """
    if data_dir is None:
        return None
    folder = pathlib.Path(data_dir)
    missing = [file for files in FILES.values() for file in files if not (folder / file).is_file()]
    if len(missing) == sum(map(len, FILES.values())):
        return None
    if missing:
        raise ValueError(
            f"`data_dir` must have {', '.join(missing)} beside the other files of the dataset. "
            f"Received: data_dir={str(folder)!r}"
        )
    return folder


def read(folder: pathlib.Path, split: str, classes: int) -> InMemory:
    """The examples of "train" or "test", in the order of the files.

    Raises:
        RuntimeError: A file is damaged. The message names it.
    """
    images, labels = (_array(folder / file) for file in FILES[split])
    if images.ndim != 3 or labels.shape != images.shape[:1] or not images.size:
        raise RuntimeError(
            f"{', '.join(FILES[split])} in {folder} must have as many labels as images. "
            f"Received: labels and images of the shapes {labels.shape} and {images.shape}"
        )
    if labels.max() >= classes:
        raise _damaged(folder / FILES[split][1], f"it has the label {labels.max()}")
    return InMemory(images[..., None], labels.astype("int64"))


def _array(path):
    """Reads two zeros, a type, the number of axes, their lengths as big-endian integers, bytes."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _damaged(path, error) from error
    axes = content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else 0
    start = 4 + 4 * axes
    shape = tuple(np.frombuffer(content[4:start], ">u4").tolist()) if len(content) >= start else ()
    if not axes or len(shape) != axes or len(content) - start != math.prod(shape):
        raise _damaged(path, f"its {len(content)} bytes are no array of bytes")
    return np.frombuffer(content, "uint8", offset=start).reshape(shape)


def _damaged(path, why):
    return RuntimeError(f"The file {path} is damaged: {why}. Get it again.")

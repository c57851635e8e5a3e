"""Pictures of a folder or of a zip, which is not unpacked. Pillow decodes them, as in Keras."""

from __future__ import annotations

import concurrent.futures
import contextlib
import io
import itertools
import os
import pathlib
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
_GRAY = ("1", "L", "LA")
_COLOR = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_AT_ONCE = 64


def names(path: pathlib.Path, tops: Sequence[str]) -> list[str]:
    """What is in the folders `tops` of a folder or a zip: `"train/cat/1.png"`, `"train/cat/"`.

    All of a zip may be in one folder more: the names are without it. Hidden files are left out.
    """
    if path.is_dir():
        inside = _in_folder(path, tops)
    else:
        with _zip(path) as archive:
            root = _root(archive)
            inside = [n.removeprefix(root) for n in archive.namelist() if n.startswith(root)]
    shown = (n for n in inside if not any(part.startswith((".", "__MAC")) for part in n.split("/")))
    return sorted(name for name in shown if name.split("/")[0] in tops)


def decode(
    path: pathlib.Path, names: Sequence[str], image_size: tuple[int, int] | None
) -> np.ndarray:
    """The pictures of `path` as an array of shape (n, height, width, 1 or 3) of bytes.

    They have one channel if each of them is gray.
    """
    image = _pillow()
    with _reader(path) as read:

        def decoded(some):
            return [_pixels(image, read(name), f"{name} of {path}", image_size) for name in some]

        # Some pictures at a time: to hand on each by itself takes as long as to decode it.
        parts = [names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE)]
        pool = concurrent.futures.ThreadPoolExecutor()
        try:
            pixels = itertools.chain.from_iterable(pool.map(decoded, parts))
            return _stacked(path, names, pixels)
        finally:
            pool.shutdown(cancel_futures=True)


def _in_folder(path: pathlib.Path, tops: Sequence[str]) -> Iterator[str]:
    for top in tops:
        for place, folders, files in os.walk(path / top, followlinks=True):
            inside = pathlib.Path(place).relative_to(path).as_posix()
            yield from (f"{inside}/{name}" for name in files)
            yield from (f"{inside}/{name}/" for name in folders)


@contextlib.contextmanager
def _zip(path: pathlib.Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except zipfile.BadZipFile as error:
        raise RuntimeError(f"{path} is not a whole zip ({error}). Get it again.") from error


def _root(archive: zipfile.ZipFile) -> str:
    """ "folder/" if all folders of the zip are in one, and "" if one of them is `train`."""
    tops = {n.split("/")[0] for n in archive.namelist() if "/" in n} - {"__MACOSX"}
    return "" if len(tops) != 1 or "train" in tops else f"{tops.pop()}/"


@contextlib.contextmanager
def _reader(path: pathlib.Path) -> Iterator[Callable[[str], bytes]]:
    """A function from a name to the bytes of the file."""
    if path.is_dir():
        yield lambda name: (path / name).read_bytes()
        return
    with _zip(path) as archive:
        root = _root(archive)

        def read(name: str) -> bytes:
            try:
                return archive.read(root + name)
            except Exception as error:  # Damaged bytes may raise anything in zipfile.
                raise _damaged(f"{name} of {path}", error) from error

        yield read


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "Pictures are read with Pillow: pip install 'keras-zsharp[images]'"
        ) from error
    return Image


def _pixels(image: Any, content: bytes, name: str, size: tuple[int, int] | None) -> np.ndarray:
    """Bytes of shape (height, width) of a gray picture, of (height, width, 3) of another."""
    try:
        picture = image.open(io.BytesIO(content))
        picture.load()
    except Exception as error:  # Damaged bytes may raise anything in Pillow.
        raise _damaged(name, error) from error
    if picture.mode not in (*_GRAY, *_COLOR):
        raise ValueError(
            f"A picture must have 8 bits for each channel: save it so. Received: {name}, whose "
            f"mode is {picture.mode} in Pillow"
        )
    picture = picture.convert("L" if picture.mode in _GRAY else "RGB")
    if size is not None:
        picture = picture.resize(size[::-1], image.Resampling.BILINEAR)
    return np.asarray(picture)


def _damaged(name: str, error: Exception) -> RuntimeError:
    return RuntimeError(f"The picture {name} is damaged ({error}). Get it again.")


def _stacked(
    path: pathlib.Path, names: Sequence[str], pictures: Iterable[np.ndarray]
) -> np.ndarray:
    images, color, size = np.empty(0, "uint8"), False, None
    for number, (name, pixels) in enumerate(zip(names, pictures, strict=True)):
        height, width = pixels.shape[:2]
        if size is None:
            size = height, width
            images = np.empty((len(names), height, width, 3), "uint8")
        if (height, width) != size:
            raise ValueError(
                "Pictures must have one size, or `image_folder` must resize them: "
                f"image_size={size}. Received: {names[0]} of {size[0]} x {size[1]} pixels (height "
                f"x width) and {name} of {height} x {width} in {path}"
            )
        color |= pixels.ndim == 3
        images[number] = pixels if pixels.ndim == 3 else pixels[..., None]
    return images if color else images[..., :1].copy()

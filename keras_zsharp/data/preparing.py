"""Prepares a dataset: once, in one process, with every picture whole."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
from typing import Any

import numpy as np

from keras_zsharp.data.damaged import DamagedPicture
from keras_zsharp.lazily import tf
from keras_zsharp.typing import Path


def prepared(name: str, data_dir: Path | None) -> Any:
    """The tensorflow-datasets builder of the dataset `name`, whose data can be read."""
    for package in ("tensorflow", "tensorflow_datasets", "filelock"):
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f"This dataset needs the package {package}: pip install 'keras-zsharp[datasets]'"
            )
    tfds = _tensorflow_datasets()
    if name == "tiny_imagenet":
        from keras_zsharp.data import tiny_imagenet_builder  # noqa: F401  (registers it)
    builder = tfds.builder(name, data_dir=data_dir)
    if builder.is_prepared():
        return builder
    folder = builder.data_dir_root
    with _alone(name, folder, data_dir):
        # A new builder: another process may have prepared the dataset in the meantime.
        builder = tfds.builder(name, data_dir=data_dir)
        if not builder.is_prepared():
            _prepare(name, builder, folder)
    return builder


def _tensorflow_datasets():
    """The package. A broken one can be imported and is empty; its `core` cannot."""
    try:
        import tensorflow_datasets.core
    except Exception as error:  # A package that it needs may raise anything.
        raise _broken(error) from error
    return tensorflow_datasets


def _broken(error):
    return ImportError(
        f"tensorflow-datasets cannot be used here: {_first_line(error)}. If its "
        "tensorflow-metadata does not fit TensorFlow's protobuf, or importlib_resources is "
        "missing, this helps: pip install 'tensorflow-metadata<1.18' importlib_resources"
    )


@contextlib.contextmanager
def _alone(name, folder, data_dir):
    """One process at a time; the others wait. The lock ends with its process, even a killed one."""
    import filelock

    # In the folder itself, so that the lock also shows whether the folder can be written.
    lock = filelock.FileLock(folder / f".keras_zsharp.{name}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise OSError(
            f"{name} is not in {folder} yet, which cannot be written: pass another folder as "
            f"`data_dir`. Received: {data_dir=} ({error})"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _prepare(name, builder, folder):
    _check_pictures(builder.info.features)
    try:
        builder.download_and_prepare()
    except ImportError as error:  # It imports some of what it needs only here.
        raise _broken(error) from error
    except Exception as error:  # tensorflow-datasets passes on any error of any package.
        if damaged := _damaged(error):
            raise RuntimeError(
                f"{name} could not be prepared in {folder}: {damaged}. In {folder / 'downloads'}, "
                "delete the archive with this picture and the files extracted from it. Then load "
                "the dataset again."
            ) from error
        raise RuntimeError(
            f"{name} is not in {folder} and could not be prepared there: {_first_line(error)}. "
            "Prepare it where there is a network, and pass its folder as `data_dir`. "
            f"Archives downloaded by hand belong in {folder / 'downloads' / 'manual'}."
        ) from error


def _check_pictures(features):
    """Has every picture decoded before it is stored: a damaged one would end every later load."""
    encode, shape = features.encode_example, features["image"].shape

    def checked(example):
        encoded = encode(example)
        # An array of pixels needs no decoding.
        if not isinstance(example["image"], np.ndarray):
            _check_picture(encoded["image"], shape, _name(example))
        return encoded

    features.encode_example = checked


def _check_picture(encoded, shape, name):
    try:
        pixels = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    except tf.errors.InvalidArgumentError as error:
        why = re.sub(r"{{.*?}}|\[Op:.*", "", error.message.splitlines()[0])
        raise DamagedPicture(name, why.strip(" .")) from error
    if not pixels.shape.is_compatible_with(shape):
        raise DamagedPicture(name, f"it has the shape {tuple(pixels.shape)}, not {shape}")


def _name(example):
    image = example["image"]
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    return example.get("file_name") or image.name


def _damaged(error):
    while error is not None and not isinstance(error, DamagedPicture):
        error = error.__cause__
    return error


def _first_line(error):
    return f"{type(error).__name__}: {error}".splitlines()[0].rstrip(". ")

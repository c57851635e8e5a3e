from __future__ import annotations

from typing import Any

import numpy as np

from keras_zsharp.checks import path, positive_int
from keras_zsharp.data import folders, pipeline
from keras_zsharp.data.bundle import DatasetBundle
from keras_zsharp.data.catalogue import Dataset
from keras_zsharp.data.noise import Draw
from keras_zsharp.data.options import Options
from keras_zsharp.typing import Path


def image_folder(
    folder: Path,
    batch_size: int = 256,
    augment: str | None = "standard",
    label_noise: float = 0.0,
    seed: int = 0,
    validation: float | None = None,
    image_size: tuple[int, int] | None = None,
    train_size: int | None = None,
    noise_draw: Draw = "others",
) -> DatasetBundle:
    """Your own pictures, in folders of their classes, as batches for training and testing.

        pictures/train/cat/1.png        pictures/test/cat/7.png
        pictures/train/dog/2.png        pictures/test/dog/8.png

    `val` or `validation` may stand for `test`. Pictures are `.png`, `.jpg`, `.jpeg`, `.bmp` and
    `.gif`, of which the first frame is taken; other files are left out. Labels count the folders of
    `train` in alphabetical order: `bundle.class_names`. Images have one channel if all pictures
    are gray, else the three of RGB. They are kept in memory.

    Mean and standard deviation by channel are those of the pictures that are trained on.

    In the stored order the classes take turns, each with its files by name: the first and the last
    pictures have each class in the share that it has of all. It does not follow from the seed.

    Args:
        folder: The folder with `train` and `test`; a zip of it, which is not unpacked; or a folder
            with such an `images.zip`.
        batch_size: Examples in a batch, >= 1. The last batch of an epoch may be smaller.
        augment: As in `load`. Not all pictures keep their label in the mirror: letters do not.
        label_noise: Share of the training labels that move to another class, in [0, 1], after
            `validation` is held out. Labels for validation and testing stay.
        seed: Seed of the noise, the order and the augmentation: int >= 0.
        validation: Share of the training pictures to hold out, in (0, 1): the last ones in the
            stored order. None holds out nothing.
        image_size: Height and width to scale each picture to, whatever its sides were. None takes
            pictures as they are, which must all have one size.
        train_size: Number of training pictures to take, before `validation` is held out: int >= 1.
            The first ones in the stored order are taken. None takes all.
        noise_draw: What the moved labels are drawn from: `draw` of `symmetric_label_noise`.

    Returns:
        A `DatasetBundle`.

    Raises:
        ImportError: Pillow is missing; Keras is too old for the layer that `augment` names.
        OSError: The folder or zip is not there, or cannot be read.
        RuntimeError: The zip or a picture is damaged. The message names it.
        TypeError, ValueError: An argument is of the wrong type, or outside of its range; pictures
            lie elsewhere, or differ in size.
    """
    options = Options(batch_size, augment, label_noise, seed, validation, noise_draw)
    path("folder", folder)
    if train_size is not None:
        train_size = positive_int("train_size", train_size)
    place = folders.find(folder)
    if place is None:
        raise ValueError(
            "`folder` must be a folder with train/CLASS and test/CLASS in it, or a zip of one. "
            f"Received: folder={str(folder)!r}"
        )
    source, _ = folders.read("folder", place, _size(image_size))
    source = source.first(train_size)
    kept: Any
    kept, _ = pipeline.held_out(source.train, options.validation)
    return source.bundle(Dataset("image_folder", *_mean_and_std(kept.images)), options)


def _size(image_size):
    if image_size is None:
        return None
    if not isinstance(image_size, list | tuple) or len(image_size) != 2:
        raise TypeError(
            "`image_size` must be None or a pair of ints, height and width. "
            f"Received: {image_size=} of type {type(image_size)}"
        )
    height, width = (positive_int("image_size", side) for side in image_size)
    return height, width


def _mean_and_std(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, exact. That of a plain channel is 1."""
    channels = images.shape[-1]
    counts = np.zeros((channels, 256))
    for image in np.array_split(images, max(1, images.nbytes // 2**22)):
        for channel in range(channels):
            counts[channel] += np.bincount(image[..., channel].ravel(), minlength=256)
    counts /= counts.sum(1, keepdims=True)
    values = np.arange(256)
    means = counts @ values
    variances = (counts * (values - means[:, None]) ** 2).sum(1)
    stds = np.where(variances > 0, np.sqrt(variances), 1.0)
    return tuple(means.tolist()), tuple(stds.tolist())

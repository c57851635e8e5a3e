from __future__ import annotations

import pathlib

import numpy as np

from keras_zsharp.checks import count, positive_int
from keras_zsharp.data import pipeline
from keras_zsharp.data.bundle import DatasetBundle
from keras_zsharp.data.catalogue import Dataset
from keras_zsharp.data.noise import Draw
from keras_zsharp.data.options import Options
from keras_zsharp.data.splits import InMemory

SIZE, CLASSES = 1797, 10
DIGITS = Dataset("digits", mean=(8.0,), std=(16.0,), padding=1, cutout=4, flip=False, top=16)


def digits(
    batch_size: int = 64,
    train_size: int = 1200,
    label_noise: float = 0.0,
    seed: int = 0,
    *,
    augment: str | None = None,
    validation: float | None = None,
    split_seed: int | None = None,
    noise_draw: Draw = "others",
) -> DatasetBundle:
    """1,797 real handwritten digits, those that scikit-learn has. They come with this package.

    `image = x / 16 - 0.5` for the pixels x, in float32 of shape (8, 8, 1). Labels are int64 of
    shape ().

    Args:
        batch_size: Examples in a batch, >= 1. The last batch of an epoch may be smaller.
        train_size: Examples in the training split, from 1 to 1796. The others are the test split.
        label_noise: Share of the training labels that move to another class, in [0, 1]. Labels for
            validation and testing stay.
        seed: Seed of the splits, of the noise, and of the order and the augmentation in training:
            int >= 0.
        augment: As in `load`. A crop moves the digit by up to 1 pixel, nothing is mirrored, and
            cutout hides 4 x 4 pixels.
        validation: Share of the training split to hold out, in (0, 1). None holds out nothing.
        split_seed: Seed of the splits alone: int >= 0. With it, runs of different seeds are tested
            on the same images. None is `seed`.
        noise_draw: What the moved labels are drawn from: `draw` of `symmetric_label_noise`.

    Returns:
        A `DatasetBundle`.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Example:

    >>> bundle = digits(label_noise=0.4)
    >>> bundle.sizes, bundle.noisy_labels
    ({'train': 1200, 'test': 597}, 480)

    Reference:
        Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
        Repository, 1998. The digits are the test split, under CC BY 4.0.
    """
    options = Options(batch_size, augment, label_noise, seed, validation, noise_draw)
    train_size = positive_int("train_size", train_size)
    if train_size >= SIZE:
        raise ValueError(f"`train_size` must be in [1, {SIZE - 1}]. Received: {train_size=}")
    split_seed = options.seed if split_seed is None else count("split_seed", split_seed)
    images, labels = _load()
    order = np.random.default_rng(split_seed).permutation(SIZE)
    train, test = (
        InMemory(images[chosen], labels[chosen])
        for chosen in (order[:train_size], order[train_size:])
    )
    return pipeline.build(DIGITS, train, test, CLASSES, options)


def _load():
    with np.load(pathlib.Path(__file__).with_name("digits.npz")) as arrays:
        return arrays["images"], arrays["labels"].astype("int64")

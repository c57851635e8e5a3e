"""Keras' own augmentation layers, by the names that `augment` has for them."""

from __future__ import annotations

from collections.abc import Callable

import keras

from keras_zsharp.typing import Tensor

CUTOUTS = {"cutout": 1.0, "cutout_half": 0.5}
"""The probability that an image gets a square."""

RAND_AUGMENT = "randaugment"
MIXED = {"cutmix": "CutMix", "mixup": "MixUp"}
"""The layers that mix images and labels."""


def rand_augment(top: int, seed: int) -> Callable[[Tensor], Tensor]:
    """Two random operations on each image: a function of images with pixels from 0 to `top`."""
    layer = keras.layers.RandAugment((0, top), num_ops=2, seed=seed)
    return lambda images: layer(images, training=True)


def mix(augment: str, seed: int) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """A function that mixes a batch of images and one-hot labels. `augment` is in `MIXED`."""
    name = MIXED[augment]
    if not hasattr(keras.layers, name):
        raise ImportError(
            f"`augment={augment!r}` needs a newer Keras than {keras.__version__}, which has no "
            f"{name}: pip install --upgrade keras"
        )
    layer = getattr(keras.layers, name)(seed=seed)

    def mixed(images, labels):
        batch = layer({"images": images, "labels": labels}, training=True)
        return batch["images"], batch["labels"]

    return mixed

"""Augmentation layers of Keras, and those of KerasCV where they are asked for by name.

What is drawn follows from the name, and not from what happens to be installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_zsharp.typing import Tensor

CUTOUTS = {"cutout": 1.0, "cutout_half": 0.5}
"""The probability that an image gets a square."""

RAND_AUGMENT = ("randaugment", "keras_cv_randaugment")
MIXED = {"cutmix": "CutMix", "mixup": "MixUp"}
MIXED |= {f"keras_cv_{name}": layer for name, layer in MIXED.items()}
"""The layers that mix images and labels."""


def rand_augment(augment: str, top: int, seed: int) -> Callable[[Tensor], Tensor]:
    """Two random operations on each image: a function of images with pixels from 0 to `top`."""
    if augment.startswith("keras_cv_"):
        return _layers(augment).RandAugment((0, top), augmentations_per_image=2, seed=seed)
    layer = _layers(augment).RandAugment((0, top), num_ops=2, seed=seed)
    return lambda images: layer(images, training=True)


def mix(augment: str, seed: int) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """A function that mixes a batch of images and one-hot labels. `augment` is in `MIXED`."""
    layers, name = _layers(augment), MIXED[augment]
    if not hasattr(layers, name):
        raise ImportError(
            f"`augment={augment!r}` needs a newer Keras than {keras.__version__}, which has no "
            f"{name}. KerasCV has one: pip install 'keras-zsharp[cv]', augment='keras_cv_{augment}'"
        )
    layer = getattr(layers, name)(seed=seed)

    def mixed(images, labels):
        batch = layer({"images": images, "labels": labels}, training=True)
        return batch["images"], batch["labels"]

    return mixed


def _layers(augment: str) -> Any:
    if not augment.startswith("keras_cv_"):
        return keras.layers
    try:
        import keras_cv
    except ImportError as error:
        raise ImportError(
            f"`augment={augment!r}` needs KerasCV: pip install 'keras-zsharp[cv]'"
        ) from error
    return keras_cv.layers

"""Augmentation layers of KerasCV. Where it is missing, those of the same name in Keras."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import keras

from keras_zsharp.lazily import tf
from keras_zsharp.typing import Tensor


def rand_augment(top: int, seed: int) -> Callable[[Tensor], Tensor]:
    """Two random operations on each image: a function of images with pixels from 0 to `top`."""
    cv_layers = _keras_cv_layers("RandAugment")
    if cv_layers:
        return cv_layers.RandAugment((0, top), augmentations_per_image=2, seed=seed)
    layer = _keras_layer("RandAugment")((0, top), num_ops=2, seed=seed)
    return lambda images: layer(images, training=True)


def mix(name: str, classes: int, seed: int) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """A function that mixes a batch of images and labels. `name` is `"CutMix"` or `"MixUp"`."""
    cv_layers = _keras_cv_layers(name)
    layer = (getattr(cv_layers, name) if cv_layers else _keras_layer(name))(seed=seed)

    def mixed(images, labels):
        batch = {"images": images, "labels": tf.one_hot(labels, classes)}
        batch = layer(batch, training=True)
        return batch["images"], batch["labels"]

    return mixed


def _keras_cv_layers(name):
    try:
        import keras_cv
    except ImportError:
        warnings.warn(
            f"KerasCV is not installed, so {name} is that of Keras: pip install 'keras-zsharp[cv]'",
            stacklevel=2,
        )
        return None
    return keras_cv.layers


def _keras_layer(name):
    try:
        return getattr(keras.layers, name)
    except AttributeError:
        raise ImportError(
            f"{name} comes with KerasCV, or with a newer Keras than {keras.__version__}: "
            "pip install 'keras-zsharp[cv]'"
        ) from None

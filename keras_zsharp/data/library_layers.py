"""Augmentation layers of KerasCV or, where it is absent, Keras' own of the same name."""

import warnings

import keras

from keras_zsharp.lazily import tf


def rand_augment(top, seed):
    """A function on batches of images with pixels from 0 to `top`: two random operations each."""
    cv_layers = _keras_cv_layers("RandAugment")
    if cv_layers:
        return cv_layers.RandAugment((0, top), augmentations_per_image=2, seed=seed)
    layer = _keras_layer("RandAugment")((0, top), num_ops=2, seed=seed)
    return lambda images: layer(images, training=True)


def mix(name, classes, seed):
    """A function that mixes a batch of (images, labels); `name` is `"CutMix"` or `"MixUp"`."""
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
            f"KerasCV is not installed (pip install 'keras-zsharp[cv]'): {name} is that of Keras.",
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

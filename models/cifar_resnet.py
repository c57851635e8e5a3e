"""Residual networks for small images (He et al., CVPR 2016)."""

from __future__ import annotations

import keras

from keras_zsharp.models import checks
from keras_zsharp.models.blocks import batch_norm, conv, logits, relu
from keras_zsharp.models.checks import ImageShape
from keras_zsharp.models.stages import stages, zero_padded_shortcut


def cifar_resnet(
    depth: int,
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    name: str | None = None,
) -> keras.Model:
    """A residual network for small images, as in section 4.2 of the paper.

    A 3x3 convolution of 16 filters comes first. Three stages of (depth - 2) / 6 blocks follow, with
    16, 32 and 64 filters, then global average pooling and a dense layer. A shortcut has no
    parameters (option A): where the shape changes, it takes every second pixel and fills the new
    channels with zeros.

    Args:
        depth: Number of layers with weights: 6n + 2 for an integer n >= 1.
        input_shape: Height, width and channels of an image. Any size; height and width may be None.
        classes: Number of logits, >= 1.
        name: Name of the model. None is `"resnet{depth}"`.

    Returns:
        A functional `keras.Model` from images to logits.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Example:

    >>> cifar_resnet(20).output_shape
    (None, 10)

    Reference:
        He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    """
    blocks, inputs = checks.blocks_of(depth, 6, 2), checks.images(input_shape)
    checks.outputs(classes, name)
    x = relu(batch_norm(conv(inputs, 16)))
    x = stages(x, (16, 32, 64), blocks, zero_padded_shortcut)
    return keras.Model(inputs, logits(x, classes), name=name or f"resnet{depth}")


def resnet20(
    input_shape: ImageShape = (32, 32, 3), classes: int = 10, name: str = "resnet20"
) -> keras.Model:
    """`cifar_resnet(20)`: 269,722 trainable parameters at 10 classes.

    Args:
        input_shape, classes, name: As in `cifar_resnet`.

    Returns:
        A functional `keras.Model` from images to logits.
    """
    return cifar_resnet(20, input_shape, classes, name)


def resnet32(
    input_shape: ImageShape = (32, 32, 3), classes: int = 10, name: str = "resnet32"
) -> keras.Model:
    """`cifar_resnet(32)`: 464,154 trainable parameters at 10 classes.

    Args:
        input_shape, classes, name: As in `cifar_resnet`.

    Returns:
        A functional `keras.Model` from images to logits.
    """
    return cifar_resnet(32, input_shape, classes, name)


def resnet44(
    input_shape: ImageShape = (32, 32, 3), classes: int = 10, name: str = "resnet44"
) -> keras.Model:
    """`cifar_resnet(44)`: 658,586 trainable parameters at 10 classes.

    Args:
        input_shape, classes, name: As in `cifar_resnet`.

    Returns:
        A functional `keras.Model` from images to logits.
    """
    return cifar_resnet(44, input_shape, classes, name)


def resnet56(
    input_shape: ImageShape = (32, 32, 3), classes: int = 10, name: str = "resnet56"
) -> keras.Model:
    """`cifar_resnet(56)`: 853,018 trainable parameters at 10 classes, 858,868 at 100.

    Args:
        input_shape, classes, name: As in `cifar_resnet`.

    Returns:
        A functional `keras.Model` from images to logits.
    """
    return cifar_resnet(56, input_shape, classes, name)


def resnet110(
    input_shape: ImageShape = (32, 32, 3), classes: int = 10, name: str = "resnet110"
) -> keras.Model:
    """`cifar_resnet(110)`: 1,727,962 trainable parameters at 10 classes.

    Args:
        input_shape, classes, name: As in `cifar_resnet`.

    Returns:
        A functional `keras.Model` from images to logits.
    """
    return cifar_resnet(110, input_shape, classes, name)

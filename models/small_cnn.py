from __future__ import annotations

import keras
from keras import layers

from keras_zsharp.models import checks
from keras_zsharp.models.checks import ImageShape


def small_cnn(
    input_shape: ImageShape = (8, 8, 1), classes: int = 10, name: str = "small_cnn"
) -> keras.Model:
    """Four convolutions for small images. It trains in seconds on a CPU.

    A block is a 3x3 convolution, BatchNormalization and ReLU. Two blocks of 32 filters come first,
    then 2x2 max-pooling, two blocks of 64 filters, global average pooling and a dense layer.
    BatchNormalization has momentum 0.9, so that its statistics are right after few steps.

    Args:
        input_shape: Height, width and channels of an image. Height and width are >= 2 pixels, or
            None.
        classes: Number of logits, >= 1.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from images to logits.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Example:

    >>> small_cnn().count_params()
    66218
    """
    return _cnn((32, 64), 1, input_shape, classes, name)


def strided_cnn(
    input_shape: ImageShape = (28, 28, 1), classes: int = 10, name: str = "strided_cnn"
) -> keras.Model:
    """`small_cnn` for larger images, at a fifteenth of its work per pixel.

    Blocks have 16 and 32 filters, and the first convolution has stride 2.

    Args:
        input_shape: Height, width and channels of an image. Height and width are >= 3 pixels, or
            None.
        classes, name: As in `small_cnn`.

    Returns:
        A functional `keras.Model` from images to logits.

    Example:

    >>> strided_cnn().count_params()
    16986
    """
    return _cnn((16, 32), 2, input_shape, classes, name)


def _cnn(filters, strides, input_shape, classes, name):
    inputs = x = checks.images(input_shape)
    checks.outputs(classes, name)
    first, second = filters
    for number, width in enumerate((first, first, second, second)):
        if number == 2:
            x = layers.MaxPooling2D()(x)
        step = strides if number == 0 else 1
        x = layers.Conv2D(width, 3, step, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes)(x), name=name)

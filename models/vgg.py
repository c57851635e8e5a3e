"""VGG networks with BatchNormalization (Simonyan and Zisserman, ICLR 2015) for small images."""

from __future__ import annotations

import keras
from keras import layers

from keras_zsharp.models import checks
from keras_zsharp.models.blocks import batch_norm, conv, logits, relu
from keras_zsharp.models.checks import ImageShape

_FILTERS = (64, 128, 256, 512, 512)


def vgg16_bn(
    input_shape: ImageShape = (32, 32, 3), classes: int = 10, name: str = "vgg16_bn"
) -> keras.Model:
    """VGG-16 with BatchNormalization: 14,728,266 trainable parameters at 10 classes.

    Five blocks have 2, 2, 3, 3 and 3 convolutions, and each ends with 2x2 max-pooling. The
    convolutions are 3x3, have biases, and are followed by BatchNormalization and ReLU. Global
    average pooling and one dense layer follow, where the ImageNet form has three dense layers. For
    images of 32 pixels the pooling averages a single pixel.

    Args:
        input_shape: Height, width and channels of an image. Any size; height and width may be None.
        classes: Number of logits, >= 1.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from images to logits.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
        Recognition", ICLR 2015, configuration D. This form is in Yun, arXiv:2505.02369, Table 1.
    """
    return _vgg((2, 2, 3, 3, 3), input_shape, classes, name)


def vgg19_bn(
    input_shape: ImageShape = (32, 32, 3), classes: int = 10, name: str = "vgg19_bn"
) -> keras.Model:
    """VGG-19 with BatchNormalization: 20,040,522 trainable parameters at 10 classes.

    It is `vgg16_bn` with 2, 2, 4, 4 and 4 convolutions, configuration E of the paper.

    Args:
        input_shape, classes, name: As in `vgg16_bn`.

    Returns:
        A functional `keras.Model` from images to logits.
    """
    return _vgg((2, 2, 4, 4, 4), input_shape, classes, name)


def _vgg(convolutions, input_shape, classes, name):
    inputs = x = checks.images(input_shape)
    checks.outputs(classes, name)
    for filters, depth in zip(_FILTERS, convolutions, strict=True):
        for _ in range(depth):
            x = relu(batch_norm(conv(x, filters, use_bias=True)))
        # "same" differs from the paper's pooling at odd sizes only. It allows images below 32.
        x = layers.MaxPooling2D(padding="same")(x)
    return keras.Model(inputs, logits(x, classes), name=name)

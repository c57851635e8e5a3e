"""VGG networks with BatchNormalization (Simonyan and Zisserman, ICLR 2015) for small images."""

import keras
from keras import layers

from keras_zsharp.models import checks
from keras_zsharp.models.blocks import batch_norm, conv, logits, relu

_FILTERS = (64, 128, 256, 512, 512)


def vgg16_bn(input_shape=(32, 32, 3), classes=10, name="vgg16_bn"):
    """VGG-16 with BatchNormalization: 14,728,266 trainable parameters at 10 classes.

    Five blocks of 2, 2, 3, 3 and 3 convolutions (3x3, with biases, each followed by
    BatchNormalization and ReLU) and 2x2 max-pooling; then global average pooling and one dense
    layer from 512 to `classes`, where the ImageNet form has three. At 32 pixels what is averaged
    is a single pixel.

    Args:
        input_shape: Shape of one image: height, width, channels. Any size.
        classes: Number of logits, >= 1.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from images to logits.

    Reference:
        Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition,
        ICLR 2015, configuration D; in this form in Yun, arXiv:2505.02369, Table 1.
    """
    return _vgg((2, 2, 3, 3, 3), input_shape, classes, name)


def vgg19_bn(input_shape=(32, 32, 3), classes=10, name="vgg19_bn"):
    """`vgg16_bn` with 2, 2, 4, 4 and 4 convolutions (E): 20,040,522 trainable parameters."""
    return _vgg((2, 2, 4, 4, 4), input_shape, classes, name)


def _vgg(convolutions, input_shape, classes, name):
    inputs = x = checks.images(input_shape)
    checks.outputs(classes, name)
    for filters, count in zip(_FILTERS, convolutions, strict=True):
        for _ in range(count):
            x = relu(batch_norm(conv(x, filters, use_bias=True)))
        # "same" differs from the source at odd sizes only, and lets images be smaller than 32.
        x = layers.MaxPooling2D(padding="same")(x)
    return keras.Model(inputs, logits(x, classes), name=name)

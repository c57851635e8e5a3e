"""Pyramidal residual networks (Han et al., CVPR 2017)."""

import keras
from keras import layers, ops

from keras_zsharp.checks import number
from keras_zsharp.models import checks
from keras_zsharp.models.blocks import batch_norm, conv, logits, relu


def pyramidnet110(input_shape=(32, 32, 3), classes=10, alpha=270, name="pyramidnet110"):
    """PyramidNet-110 of basic blocks: 28,485,477 trainable parameters at 10 classes, alpha = 270.

    A 3x3 convolution of 16 filters and 54 blocks in three stages; the k-th block has
    round(16 + k alpha / 54) filters. A block is BatchNormalization, convolution,
    BatchNormalization, ReLU, convolution, BatchNormalization; its shortcut averages 2x2 pixels
    where the stage changes and fills the new channels with zeros.

    Args:
        input_shape: Shape of one image: height, width, channels. Any size.
        classes: Number of logits, >= 1.
        alpha: Filters that the network gains on its way, >= 0; 48, 84 and 270 in the paper.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from images to logits.

    Raises:
        ValueError: `alpha` is negative.

    Reference:
        Han et al., Deep Pyramidal Residual Networks, CVPR 2017; in Li et al., CVPR 2024, Tables 1
        and 2.
    """
    alpha = number("alpha", alpha, ">= 0", lambda alpha: alpha >= 0)
    inputs = checks.images(input_shape)
    checks.outputs(classes, name)
    stages, blocks = 3, 18
    x = batch_norm(conv(inputs, 16))
    for k in range(stages * blocks):
        filters = round(16 + (k + 1) * alpha / (stages * blocks))
        x = _block(x, filters, strides=2 if k in (blocks, 2 * blocks) else 1)
    x = relu(batch_norm(x))
    return keras.Model(inputs, logits(x, classes), name=name)


def _block(x, filters, strides):
    y = conv(batch_norm(x), filters, strides=strides)
    y = batch_norm(conv(relu(batch_norm(y)), filters))
    if strides > 1:
        x = layers.AveragePooling2D(strides, padding="same")(x)
    new = filters - x.shape[-1]
    return layers.Add()([ops.pad(x, [[0, 0], [0, 0], [0, 0], [0, new]]) if new else x, y])

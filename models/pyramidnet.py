"""Pyramidal residual networks (Han et al., CVPR 2017)."""

from __future__ import annotations

import keras
from keras import layers, ops

from keras_zsharp.checks import number
from keras_zsharp.models import checks
from keras_zsharp.models.blocks import batch_norm, conv, logits, relu
from keras_zsharp.models.checks import ImageShape


def pyramidnet110(
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    alpha: float = 270,
    name: str = "pyramidnet110",
) -> keras.Model:
    """PyramidNet-110 of basic blocks: 28,485,477 trainable parameters at 10 classes, alpha = 270.

    A 3x3 convolution of 16 filters comes first, then 54 blocks in three stages. The k-th block has
    round(16 + k alpha / 54) filters. A block is BatchNormalization, convolution,
    BatchNormalization, ReLU, convolution, BatchNormalization. Its shortcut averages 2x2 pixels
    where the stage changes, and fills the new channels with zeros.

    Args:
        input_shape: Height, width and channels of an image. Any size; height and width may be None.
        classes: Number of logits, >= 1.
        alpha: How many filters the last block has more than the first convolution, >= 0. The paper
            uses 48, 84 and 270.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from images to logits.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Han et al., "Deep Pyramidal Residual Networks", CVPR 2017. It is in Li et al., "Friendly
        Sharpness-Aware Minimization", CVPR 2024, Tables 1 and 2.
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

"""Wide residual networks (Zagoruyko and Komodakis, BMVC 2016)."""

from __future__ import annotations

import keras
from keras import layers

from keras_zsharp.checks import positive_int
from keras_zsharp.models import checks
from keras_zsharp.models.blocks import batch_norm, conv, logits, relu
from keras_zsharp.models.checks import ImageShape


def wide_resnet(
    depth: int,
    width: int,
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    dropout: float = 0.0,
    name: str | None = None,
) -> keras.Model:
    """A wide residual network for small images.

    A 3x3 convolution of 16 filters comes first. Three stages of (depth - 4) / 6 blocks follow, with
    16, 32 and 64 times `width` filters, then BatchNormalization, ReLU, global average pooling and a
    dense layer. A block has BatchNormalization and ReLU in front of each of its two convolutions.
    Where the shape changes, the shortcut is a 1x1 convolution of the first ReLU's output.

    Args:
        depth: Number of convolutions in the longest path: 6n + 4 for an integer n >= 1.
        width: Factor on the number of filters, an integer >= 1.
        input_shape: Height, width and channels of an image. Any size; height and width may be None.
        classes: Number of logits, >= 1.
        dropout: Dropout rate between a block's convolutions, in [0, 1). The paper tries 0.3, too.
        name: Name of the model. None is `"wide_resnet_{depth}_{width}"`.

    Returns:
        A functional `keras.Model` from images to logits.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Example:

    >>> wide_resnet(10, 2).output_shape
    (None, 10)

    Reference:
        Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016.
    """
    blocks, width = checks.blocks_of(depth, 6, 4), positive_int("width", width)
    inputs, dropout = checks.images(input_shape), checks.dropout_rate(dropout)
    checks.outputs(classes, name)
    x = conv(inputs, 16)
    for stage, filters in enumerate((16, 32, 64)):
        for block in range(blocks):
            x = _block(x, filters * width, 2 if stage and not block else 1, dropout)
    x = relu(batch_norm(x))
    name = name or f"wide_resnet_{depth}_{width}"
    return keras.Model(inputs, logits(x, classes), name=name)


def wide_resnet_16_8(
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    dropout: float = 0.0,
    name: str = "wide_resnet_16_8",
) -> keras.Model:
    """`wide_resnet(16, 8)`: 10,961,370 trainable parameters at 10 classes. The paper has 11.0 M.

    Args:
        input_shape, classes, dropout, name: As in `wide_resnet`.

    Returns:
        A functional `keras.Model` from images to logits.
    """
    return wide_resnet(16, 8, input_shape, classes, dropout, name)


def wide_resnet_28_10(
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    dropout: float = 0.0,
    name: str = "wide_resnet_28_10",
) -> keras.Model:
    """`wide_resnet(28, 10)`: 36,479,194 trainable parameters at 10 classes. The paper has 36.5 M.

    Args:
        input_shape, classes, dropout, name: As in `wide_resnet`.

    Returns:
        A functional `keras.Model` from images to logits.
    """
    return wide_resnet(28, 10, input_shape, classes, dropout, name)


def _block(x, filters, strides, dropout):
    changes = strides > 1 or x.shape[-1] != filters
    y = relu(batch_norm(x))
    shortcut = conv(y, filters, kernel_size=1, strides=strides) if changes else x
    y = relu(batch_norm(conv(y, filters, strides=strides)))
    if dropout:
        y = layers.Dropout(dropout)(y)
    return layers.Add()([shortcut, conv(y, filters)])

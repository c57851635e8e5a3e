"""Vision transformers (Dosovitskiy et al., ICLR 2021) for small images."""

from __future__ import annotations

from typing import Any

import keras
from keras import initializers, layers, ops

from keras_zsharp.models import checks
from keras_zsharp.models.checks import ImageShape


@keras.saving.register_keras_serializable("keras_zsharp")
class ClassTokenAndPositions(layers.Layer):
    """Puts a learned class token in front of a sequence and adds learned positions to all.

    The token starts at 0. The positions start at N(0, 0.02²), as in the paper's code.

    Input shape: (batch, patches, channels). Output shape: (batch, 1 + patches, channels).
    """

    def build(self, input_shape: tuple[Any, ...]) -> None:
        _, patches, channels = input_shape
        self.token = self.add_weight(shape=(1, 1, channels), initializer="zeros", name="token")
        self.positions = self.add_weight(
            shape=(1, 1 + patches, channels),
            initializer=initializers.RandomNormal(stddev=0.02),
            name="positions",
        )

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        batch, patches, channels = input_shape
        return batch, 1 + patches, channels

    def call(self, inputs: Any) -> Any:
        token = ops.broadcast_to(self.token, (ops.shape(inputs)[0], 1, inputs.shape[-1]))
        return ops.concatenate([token, inputs], axis=1) + self.positions


def vit_7_8_8_384(
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    dropout: float = 0.0,
    name: str = "vit_7_8_8_384",
) -> keras.Model:
    """ViT-7/8/8-384: 6,268,810 trainable parameters for 32-pixel images and 10 classes.

    The image is cut into a grid of 8 x 8 patches, and each patch is projected to 384 channels. A
    patch has 4 x 4 pixels in an image of 32 pixels. A class token and learned positions are added.
    Seven blocks follow: LayerNormalization and attention with 8 heads, LayerNormalization and an
    MLP of 384 units with GELU. LayerNormalization and a dense layer on the class token come last.

    Args:
        input_shape: Height, width and channels of an image. Height and width are multiples of 8.
        classes: Number of logits, >= 1.
        dropout: Dropout rate after the positions and every dense layer of the MLPs, in [0, 1).
        name: Name of the model.

    Returns:
        A functional `keras.Model` from images to logits.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, also for the initial values
        (Glorot uniform, the last layer 0). This size is in Yun, arXiv:2505.02369, Table 1.
    """
    return _vit((8, 7, 384, 8), input_shape, classes, dropout, name)


def vit_7_8_12_768(
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    dropout: float = 0.0,
    name: str = "vit_7_8_12_768",
) -> keras.Model:
    """`vit_7_8_8_384` with 12 heads and 768 channels: 24,923,914 trainable parameters.

    Args:
        input_shape, classes, dropout, name: As in `vit_7_8_8_384`.

    Returns:
        A functional `keras.Model` from images to logits.
    """
    return _vit((8, 7, 768, 12), input_shape, classes, dropout, name)


def small_vit(
    input_shape: ImageShape = (28, 28, 1),
    classes: int = 10,
    dropout: float = 0.0,
    name: str = "small_vit",
) -> keras.Model:
    """`vit_7_8_8_384` for CPUs: 4 x 4 patches, three blocks, 4 heads, 32 channels.

    Args:
        input_shape: Height, width and channels of an image. Height and width are multiples of 4.
        classes, dropout, name: As in `vit_7_8_8_384`.

    Returns:
        A functional `keras.Model` from images to logits.

    Example:

    >>> small_vit().count_params()
    21962
    """
    return _vit((4, 3, 32, 4), input_shape, classes, dropout, name)


def _vit(size, input_shape, classes, dropout, name):
    grid, depth, channels, heads = size
    inputs, dropout = checks.images(input_shape, multiple=grid), checks.dropout_rate(dropout)
    checks.outputs(classes, name)
    _, height, width, _ = inputs.shape
    patch = (height // grid, width // grid)
    x = layers.Conv2D(channels, patch, patch, name="patches")(inputs)
    x = layers.Reshape((grid * grid, channels))(x)
    x = ClassTokenAndPositions(name="positions")(x)
    x = _dropout(x, dropout)
    for _ in range(depth):
        x = _block(x, channels, heads, dropout)
    x = layers.LayerNormalization(epsilon=1e-6)(x[:, 0])
    outputs = layers.Dense(classes, kernel_initializer="zeros", name="logits")(x)
    return keras.Model(inputs, outputs, name=name)


def _block(x, channels, heads, dropout):
    # Keras' Glorot initializer takes attention's kernels, of shape (channels, heads, key), for
    # those of convolutions, and draws them too small. This is it for (channels, channels).
    limit = (3 / channels) ** 0.5
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.MultiHeadAttention(
        heads, channels // heads, kernel_initializer=initializers.RandomUniform(-limit, limit)
    )(y, y)
    x = layers.Add()([x, y])
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    y = _dropout(layers.Dense(channels, activation="gelu")(y), dropout)
    y = _dropout(layers.Dense(channels)(y), dropout)
    return layers.Add()([x, y])


def _dropout(x, rate):
    return layers.Dropout(rate)(x) if rate else x

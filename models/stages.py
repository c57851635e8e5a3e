"""What the residual networks share: stages of basic blocks, and two kinds of shortcuts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from keras import layers, ops

from keras_zsharp.models.blocks import batch_norm, conv, relu

Shortcut: TypeAlias = Callable[[Any, int, int], Any]
"""A function of a tensor, the number of filters and the strides."""


def stages(x: Any, widths: Sequence[int], blocks: int, shortcut: Shortcut) -> Any:
    """A stage of `blocks` basic blocks for each of `widths`. All but the first begin with stride 2.

    A width is the number of filters of each convolution in a stage.
    """
    for stage, filters in enumerate(widths):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            y = relu(batch_norm(conv(x, filters, strides=strides)))
            y = batch_norm(conv(y, filters))
            x = relu(layers.Add()([shortcut(x, filters, strides), y]))
    return x


def zero_padded_shortcut(x: Any, filters: int, strides: int) -> Any:
    """Option A: takes every `strides`-th pixel, and fills the new channels with zeros."""
    if strides > 1:
        x = layers.AveragePooling2D(1, strides)(x)
    new = filters - x.shape[-1]
    return ops.pad(x, [[0, 0], [0, 0], [0, 0], [new // 2, new - new // 2]]) if new else x


def projected_shortcut(x: Any, filters: int, strides: int) -> Any:
    """Option B: a 1x1 convolution with BatchNormalization where the shape changes."""
    if strides == 1 and x.shape[-1] == filters:
        return x
    return batch_norm(conv(x, filters, kernel_size=1, strides=strides))

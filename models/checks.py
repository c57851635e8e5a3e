"""The arguments that the builders share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
import numpy as np

from keras_zsharp.checks import integer, number, positive_int

ImageShape: TypeAlias = Sequence[int | None]
"""Height, width and channels of an image. None stands for a height or width of any size."""


def images(input_shape: Any, multiple: int = 1, least: int = 1) -> Any:
    """The input of a network for images.

    Args:
        input_shape: Height, width and channels. Height and width may be None where `multiple` and
            `least` are 1.
        multiple: What height and width must be multiples of.
        least: The least height and width, in pixels.

    Returns:
        A symbolic tensor.

    Raises:
        TypeError, ValueError: `input_shape` is no such shape.
    """
    try:
        if np.ndim(input_shape) != 1:  # Some tensors fail in their own way when they are unpacked.
            raise TypeError
        height, width, channels = input_shape
        sides = [_side(side, multiple, least) for side in (height, width)]
        shape = (*sides, _size(channels))
    except (TypeError, ValueError) as error:
        bound = f">= {least}" if multiple == 1 else f"multiples of {multiple}"
        raise type(error)(
            "`input_shape` must be height, width and channels of an image. Height and width must "
            f"be {bound}. Received: input_shape={input_shape!r}"
        ) from None
    return keras.Input(shape)


def _side(side, multiple, least):
    if side is None and multiple == least == 1:
        return None
    if _size(side) % multiple or side < least:
        raise ValueError
    return _size(side)


def _size(value):
    return positive_int("input_shape", value)


def blocks_of(depth: int, layers: int, others: int) -> int:
    """The number of blocks, of `layers` layers each, in a network with `others` other layers."""
    blocks, rest = divmod(integer("depth", depth) - others, layers)
    if rest or blocks < 1:
        raise ValueError(
            f"`depth` must be {layers}n + {others} for an n >= 1. Received: depth={depth}"
        )
    return blocks


def outputs(classes: int, name: str | None) -> None:
    """Checks the number of logits, and the name of a model. The name may be None."""
    positive_int("classes", classes)
    if not isinstance(name, str | None):
        raise TypeError(f"`name` must be a string. Received: name={name!r} of type {type(name)}")
    if name is not None and "/" in name:
        raise ValueError(f"`name` must have no '/'. Received: name={name!r}")


def dropout_rate(dropout: float) -> float:
    return number("dropout", dropout, "in [0, 1)", lambda rate: 0 <= rate < 1)

"""The arguments that the builders share."""

import keras
import numpy as np

from keras_zsharp.checks import integer, number, positive_int


def images(input_shape, sides=1, least=1):
    """The input of a network, for images whose sides are multiples of `sides`, from `least` on.

    A side may be None, any, where `sides` and `least` are 1.
    """
    try:
        if np.ndim(input_shape) != 1:  # Some tensors fail in their own way when they are unpacked.
            raise TypeError
        height, width, channels = input_shape
        shape = (*(_side(side, sides, least) for side in (height, width)), _size(channels))
    except (TypeError, ValueError) as error:
        bound = f", its sides >= {least}" if sides == 1 else f", its sides multiples of {sides}"
        raise type(error)(
            f"`input_shape` must be height, width and channels of an image{bound}. "
            f"Received: input_shape={input_shape!r}"
        ) from None
    return keras.Input(shape)


def _side(side, sides, least):
    if side is None and sides * least == 1:
        return None
    if _size(side) % sides or side < least:
        raise ValueError
    return _size(side)


def _size(value):
    return positive_int("input_shape", value)


def layers_of_blocks(depth, each, others):
    """How many blocks of `each` layers a network of that depth has, beside its other layers."""
    blocks, rest = divmod(integer("depth", depth) - others, each)
    if rest or blocks < 1:
        raise ValueError(
            f"`depth` must be {each}n + {others} for an n >= 1. Received: depth={depth}"
        )
    return blocks


def outputs(classes, name):
    """Checks the number of logits, and a name that may be None."""
    positive_int("classes", classes)
    if not isinstance(name, str | None):
        raise TypeError(f"`name` must be a string. Received: name={name!r} of type {type(name)}")
    if name is not None and "/" in name:
        raise ValueError(f"`name` must have no '/'. Received: name={name!r}")


def dropout_rate(dropout):
    return number("dropout", dropout, "in [0, 1)", lambda rate: 0 <= rate < 1)

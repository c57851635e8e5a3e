"""Copies of arrays, tensors, variables and generators, whose values change in place."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_zsharp.backend import room


def kinds() -> tuple[type, ...]:
    """The classes of what `restoring` takes."""
    return tuple(kind for kind, _ in _kinds())


def restoring(value: Any, gradients: bool) -> Callable[[], None]:
    """A function that gives an object the values that it has now.

    Args:
        value: An object of one of the `kinds`.
        gradients: Whether it restores what has accumulated in a tensor's `.grad`, too.
    """
    copy = next(copy for kind, copy in _kinds() if isinstance(value, kind))
    return copy(value, gradients)


@functools.cache
def _kinds():
    return [
        (np.ndarray, _of_array),
        (np.random.BitGenerator, _of_bits),
        (np.random.Generator, lambda generator, _: _of_bits(generator.bit_generator)),
        (np.random.RandomState, _by("get_state", "set_state")),
        (random.SystemRandom, lambda *_: _nothing),
        (random.Random, _by("getstate", "setstate")),
        *room("copying").kinds(_by),
    ]


def _of_array(array, _):
    if not array.flags.writeable:
        return _nothing
    saved = array.copy()

    def restore():
        if array.shape != saved.shape:
            array.resize(saved.shape, refcheck=False)
        array[...] = saved

    return restore


def _of_bits(bits, _=False):
    saved = bits.state

    def restore():
        bits.state = saved

    return restore


def _by(get, put):
    def copy(value, _):
        saved = getattr(value, get)()
        return lambda: getattr(value, put)(saved)

    return copy


def _nothing():
    pass

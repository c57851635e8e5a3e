"""Copies of arrays, tensors, variables and generators, whose values change in place."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import keras
import numpy as np


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
    kinds: list[tuple[type, Callable[..., Any]]] = [
        (np.ndarray, _of_array),
        (np.random.BitGenerator, _of_bits),
        (np.random.Generator, lambda generator, _: _of_bits(generator.bit_generator)),
        (np.random.RandomState, _by("get_state", "set_state")),
        (random.SystemRandom, lambda *_: _nothing),
        (random.Random, _by("getstate", "setstate")),
    ]
    backend = keras.backend.backend()
    if backend == "torch":
        import torch  # pyright: ignore[reportMissingImports]

        kinds += [(torch.Tensor, _of_tensor), (torch.Generator, _by("get_state", "set_state"))]
    elif backend == "tensorflow":
        import tensorflow as tf

        tables = tf.lookup.experimental
        kinds += [
            (tf.Variable, _eagerly(_by("numpy", "assign"))),
            (tf.random.Generator, _eagerly(lambda generator, _: _of_state(generator))),
            (tables.MutableHashTable, _eagerly(_of_table)),
            (tables.DenseHashTable, _eagerly(_of_table)),
        ]
    return kinds


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


def _of_tensor(tensor, gradients):
    import torch  # pyright: ignore[reportMissingImports]

    if tensor.is_meta or tensor.layout != torch.strided:
        return _nothing
    saved = tensor.detach().clone()
    accumulates = gradients and tensor.is_leaf and tensor.requires_grad
    gradient = tensor.grad.clone() if accumulates and tensor.grad is not None else None

    def restore():
        # `.data` changes the values of leaves, and without notice to graphs that are alive.
        if (tensor.shape, tensor.dtype, tensor.device) != (saved.shape, saved.dtype, saved.device):
            tensor.data = saved.clone()
        else:
            tensor.data.copy_(saved)
        if accumulates:
            tensor.grad = None if gradient is None else gradient.clone()

    return restore


def _eagerly(copy):
    """In a graph nothing has a value. What is assigned there is refused."""
    import tensorflow as tf

    return lambda value, _: copy(value, _) if tf.executing_eagerly() else _nothing


def _of_state(generator):
    saved = generator.state.numpy()
    return lambda: generator.state.assign(saved)


def _of_table(table, _):
    saved = table.export()

    def restore():
        table.remove(table.export()[0])
        table.insert(*saved)

    return restore


def _nothing():
    pass

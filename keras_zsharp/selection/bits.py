"""Bit patterns, for which `keras.ops` has no word in all the versions we support."""

import importlib

import keras
import numpy as np
from keras import ops


def to_bits(x):
    """The bit pattern of a float32 tensor as int32."""
    return _bitcast(x, "int32")


def from_bits(bits):
    """The float32 tensor with that bit pattern."""
    return _bitcast(bits, "float32")


def count_true(x):
    """How many elements of a boolean tensor are true along its last axis, of length < 128: int8.

    `keras.ops.sum` would write them as int32 first, which takes as long as the sum.
    """
    library = _library()
    if library.__name__ == "jax":
        return x.sum(axis=-1, dtype="int8")
    if library.__name__ == "torch":
        return library.sum(x, dim=-1, dtype=library.int8)
    return library.reduce_sum(library.cast(x, "int8"), axis=-1)


def int32(array):
    """A tensor of what NumPy knows: PyTorch's do not compute with arrays."""
    return ops.convert_to_tensor(array, "int32")


def selects():
    """Whether the backend's own selection is the faster exact one: PyTorch's.

    There every operation of the search is a kernel started by Python.
    """
    return keras.backend.backend() == "torch"


def selected(x, k):
    """PyTorch's `k`-th largest of each row of `x`, with a `k` for each."""
    torch, size = _library(), x.shape[1]
    if x.device.type == "cpu":
        rows = zip(x.detach().numpy(), k.tolist(), strict=True)
        found = [np.partition(row, size - i)[size - i] for row, i in rows]
        return torch.as_tensor(np.array(found))
    rows = zip(x, k.tolist(), strict=True)
    return torch.stack([torch.kthvalue(row, size - i + 1).values for row, i in rows])


def _bitcast(x, dtype):
    library = _library()
    if library.__name__ == "jax":
        return library.lax.bitcast_convert_type(x, dtype)
    if library.__name__ == "torch":
        return x.contiguous().view(getattr(library, dtype))
    return library.bitcast(x, dtype)


def _library():
    return importlib.import_module(keras.backend.backend())

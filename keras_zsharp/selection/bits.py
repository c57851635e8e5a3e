"""Bit patterns, which `keras.ops` does not offer in all versions that we support."""

from __future__ import annotations

import importlib
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_zsharp.typing import Tensor


def to_bits(x: Tensor) -> Tensor:
    """The bit pattern of a float32 tensor as int32."""
    return _bitcast(x, "int32")


def from_bits(bits: Tensor) -> Tensor:
    """The float32 tensor with that bit pattern."""
    return _bitcast(bits, "float32")


def sum_true(x: Tensor) -> Tensor:
    """The number of true elements of a boolean tensor along its last axis, of length < 128: int8.

    `keras.ops.sum` would convert them to int32 first, which takes as long as the sum.
    """
    library = _library()
    if library.__name__ == "jax":
        return x.sum(axis=-1, dtype="int8")
    if library.__name__ == "torch":
        return library.sum(x, dim=-1, dtype=library.int8)
    return library.reduce_sum(library.cast(x, "int8"), axis=-1)


def int32(array: Any) -> Tensor:
    """An int32 tensor from an array: PyTorch's tensors do not compute with arrays."""
    return ops.convert_to_tensor(array, "int32")


def selects() -> bool:
    """Whether the backend's own selection is exact and faster than ours: PyTorch's is.

    On PyTorch, Python starts a kernel for each operation of our search.
    """
    return keras.backend.backend() == "torch"


def selected(x: Any, k: Any) -> Any:
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


def _library() -> Any:
    return importlib.import_module(keras.backend.backend())

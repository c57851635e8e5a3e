"""What `keras.ops` lacks, in all versions that we support."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import keras
from keras import ops

from keras_zsharp.backend import room
from keras_zsharp.typing import Nested, Tensor

Function = TypeVar("Function", bound=Callable[..., Any])
_HERE = room("tensors")


def is_traced(x: Tensor) -> bool:
    """Whether a tensor belongs to a graph and has no value yet."""
    return _HERE.is_traced(x)


def as_written(function: Function) -> Function:
    """Keeps AutoGraph from translating a function, also in a user's `tf.function`.

    On PyTorch, it keeps the computation from being recorded: nobody differentiates it.
    """
    return _HERE.as_written(function)


def is_sparse(x: Tensor) -> bool:
    """Whether a tensor is sparse, on Keras' backend."""
    return _HERE.is_sparse(x)


def with_length(x: Tensor, length: Tensor, message: str) -> Tensor:
    """A tensor of unknown length, for which TensorFlow checks the length when it runs."""
    return _HERE.with_length(x, length, message)


def of_the_device(dtype: str) -> str:
    """The dtype, or its half as wide sister where Keras' device computes with nothing wider.

    On PyTorch the device is asked: Apple's GPUs have no float64, nor have some of Intel's.
    """
    return _HERE.of_the_device(dtype)


def to_bits(x: Tensor) -> Tensor:
    """The bit pattern of a float32 tensor as int32."""
    return _HERE.bitcast(x, "int32")


def from_bits(bits: Tensor) -> Tensor:
    """The float32 tensor with that bit pattern."""
    return _HERE.bitcast(bits, "float32")


def sum_true(x: Tensor) -> Tensor:
    """The number of true elements of a boolean tensor along its last axis, of length < 128: int8.

    `keras.ops.sum` would convert them to int32 first, which takes as long as the sum.
    """
    return _HERE.sum_true(x)


def of_dtype(x: Tensor, dtype: Any) -> Tensor:
    """`keras.ops.cast`, which takes longer than PyTorch's product also where nothing is to do."""
    is_tensor = ops.is_tensor(x) and not isinstance(x, keras.Variable)
    return x if is_tensor and x.dtype == dtype else ops.cast(x, dtype)


def int32(array: Any) -> Tensor:
    """An int32 tensor from an array: PyTorch's tensors do not compute with arrays."""
    return ops.convert_to_tensor(array, "int32")


def selects() -> bool:
    """Whether the backend's own selection is exact and faster than ours: PyTorch's is.

    On PyTorch, Python starts a kernel for each operation of our search.
    """
    return hasattr(_HERE, "selected")


def selected(x: Any, k: Any) -> Any:
    """PyTorch's `k`-th largest of each row of `x`, with a `k` for each."""
    return _HERE.selected(x, k)


def each(function: Callable[..., Any], tensors: Iterable[Any], *others: Iterable[Any]) -> list[Any]:
    """`function` of each tensor and its counterparts in `others`; None for None."""
    return [
        None if tensor is None else function(tensor, *rest)
        for tensor, *rest in zip(tensors, *others, strict=True)
    ]


def size_of(x: Nested) -> Any:
    """The number of examples in the inputs `x`: an int if it is static, or a scalar tensor."""
    leaf = next(leaf for leaf in keras.tree.flatten(x) if leaf is not None)
    return ops.shape(leaf)[0] if leaf.shape[0] is None else leaf.shape[0]

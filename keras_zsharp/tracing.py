"""How the backends trace functions and what their devices lack, which `keras.ops` does not tell."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import keras

from keras_zsharp.typing import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])


def is_traced(x: Tensor) -> bool:
    """Whether a tensor belongs to a graph and has no value yet."""
    if keras.backend.backend() == "jax":
        import jax.core

        return isinstance(x, jax.core.Tracer)
    return not hasattr(x, "numpy")  # TensorFlow's tensors in a graph have none.


def as_written(function: Function) -> Function:
    """Keeps AutoGraph from translating a function, also in a user's `tf.function`.

    On PyTorch, it keeps the computation from being recorded: nobody differentiates it.
    """
    if keras.backend.backend() == "torch":
        import torch  # pyright: ignore[reportMissingImports]  # Not in a developer's environment.

        return torch.no_grad()(function)
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.autograph.experimental.do_not_convert(function)


def is_sparse(x: Tensor) -> bool:
    """Whether a tensor is sparse, on Keras' backend."""
    backend = keras.backend.backend()
    if backend == "torch":
        import torch  # pyright: ignore[reportMissingImports]

        # An array of NumPy has no layout, and compiled code would ask it.
        return isinstance(x, torch.Tensor) and "sparse" in str(x.layout)
    # Where there is a sparse tensor, what it is of is loaded.
    if backend == "jax":
        sparse = sys.modules.get("jax.experimental.sparse")
        return sparse is not None and isinstance(x, sparse.JAXSparse)
    return isinstance(x, sys.modules["tensorflow"].SparseTensor)


def with_length(x: Tensor, length: Tensor, message: str) -> Tensor:
    """A tensor of unknown length, for which TensorFlow checks the length when it runs."""
    import tensorflow as tf

    with tf.control_dependencies([tf.debugging.assert_equal(tf.shape(x)[0], length, message)]):
        return tf.identity(x)


def of_the_device(dtype: str) -> str:
    """The dtype, or its half as wide sister where Keras' device computes with nothing wider.

    On PyTorch the device is asked: Apple's GPUs have no float64, nor have some of Intel's.
    """
    narrow = dtype.replace("64", "32")
    if keras.backend.backend() == "jax":
        return narrow
    if keras.backend.backend() == "torch" and dtype == "float64":
        try:
            keras.ops.add(keras.ops.ones((), dtype), 1)
        except (AssertionError, RuntimeError, TypeError):
            return narrow
    return dtype

"""The types that the annotations of this library share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import keras
import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = [
    "Batch",
    "BatchedInputs",
    "Config",
    "Data",
    "FloatOrSchedule",
    "FloatTensor",
    "Gradients",
    "Logs",
    "Nested",
    "Path",
    "PerturbOnly",
    "Schedule",
    "Tensor",
    "Variables",
]

Tensor: TypeAlias = keras.KerasTensor | np.ndarray | Any
"""A tensor of Keras' backend, or an array.

`Any` stands for `tf.Tensor`, `jax.Array` and `torch.Tensor`: a type must not import a backend.
"""

FloatTensor: TypeAlias = float | Tensor
"""A float, or a scalar tensor."""

Gradients: TypeAlias = Sequence[Tensor | None]
"""A tensor for each variable, None where the loss does not depend on the variable."""

Variables: TypeAlias = Sequence[keras.Variable | Tensor]
"""Keras variables, or anything else with shapes and dtypes."""

Nested: TypeAlias = Any
"""A tensor, or a nested structure (list, tuple, dict) of tensors."""

Batch: TypeAlias = tuple[Nested, Nested, Nested]
"""Inputs, targets and sample weights. The last two may be None."""

Data: TypeAlias = "tf.data.Dataset | tuple[Nested, ...] | Any"
"""A `tf.data.Dataset` of batches, or a tuple of (nested) arrays: `(x, y[, sample_weight])`.

`Any` stands for what else `fit` takes as `x`, such as a `DataLoader` of PyTorch.
"""

Schedule: TypeAlias = keras.optimizers.schedules.LearningRateSchedule
"""A function of the number of steps so far."""

FloatOrSchedule: TypeAlias = float | Schedule
"""A hyperparameter that may follow a schedule, such as a radius."""

PerturbOnly: TypeAlias = str | Callable[[Any], Any] | None
"""A choice of weights: a name or a regular expression, a function of a variable, None for all."""

BatchedInputs: TypeAlias = Literal["all"] | Sequence[str | int] | None
"""The inputs with an example in each row: all, or keys and positions. None for the only one."""

Config: TypeAlias = dict[str, Any]
"""What `get_config` returns."""

Logs: TypeAlias = dict[str, Any]
"""What a training step returns and Keras hands to callbacks: values by name."""

Path: TypeAlias = str | os.PathLike[str]
"""The path of a file or folder."""

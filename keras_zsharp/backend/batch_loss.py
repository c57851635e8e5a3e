"""What the measures of flatness need of a backend: `BatchLoss`, of which each has its own.

It is no `Passes.run`: it takes second derivatives, leaves every `.grad` alone, and runs no hook.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import keras
from keras import ops

from keras_zsharp import outside
from keras_zsharp.keras_internals import calling, tracking
from keras_zsharp.typing import FloatTensor, Nested, Tensor

STEP = 1e-2
"""Length of the step of central differences: gradients in float32 have 7 digits."""

OfBatch: TypeAlias = Callable[[Tensor, FloatTensor, list[Tensor]], tuple[Tensor, ...]]
"""A function of a vector, the scale of the loss and the arrays of a batch."""


class BatchLoss:
    """The loss of a batch as a function of a float32 vector that stands for all weights.

    A backend adds `loss`, `gradient` and `product`. They take a vector of shape (size,), the scale
    of the loss while it is differentiated, and the list of the arrays of a batch. In float16 small
    gradients need a large scale, and large ones overflow. The values that they return, a tuple, are
    not scaled.

    Args:
        model: A compiled and built `keras.Model`.
        structure: Structure into which the arrays of a batch pack.
        specs: An object with `.shape` and `.dtype` for each array of a batch, in order.

    Attributes:
        loss: The loss at w + vector.
        gradient: The loss at w + vector, and its gradient.
        product: The Hessian at w times the vector. It raises a LookupError where an operation has
            no second derivative.
        size: The number of weights.
    """

    loss: OfBatch
    gradient: OfBatch
    product: OfBatch

    def __init__(self, model: keras.Model, structure: Nested, specs: list[Any]) -> None:
        self.model, self.variables = model, tracking.trained(model)
        self._structure, self._specs = structure, specs
        ends = [0, *itertools.accumulate(math.prod(v.shape) for v in self.variables)]
        self._bounds = list(itertools.pairwise(ends))
        self.size = ends[-1]

    def differences(
        self, vector: Tensor, scale: FloatTensor, batch: list[Tensor]
    ) -> tuple[Tensor, ...]:
        """As `product`, by central differences of the gradient."""
        h = STEP / ops.maximum(ops.norm(vector), 1e-30)
        with outside.put_back(self.model):
            _, ahead = self.gradient(h * vector, scale, batch)
        _, behind = self.gradient(-h * vector, scale, batch)
        return ((ahead - behind) / (2 * h),)

    def _evaluated(self, batch):
        """The loss of a batch, in the scope that the backend has opened."""
        loss = calling.evaluation_loss(self.model, *self._unpacked(batch))
        return ops.cast(calling.unscale_loss(loss), "float32")

    def _unpacked(self, batch):
        """Inputs, targets and sample weights."""
        batch = keras.tree.pack_sequence_as(self._structure, batch)
        return keras.utils.unpack_x_y_sample_weight(batch)

    def _shifted(self, weights, vector):
        """The sums of each of `weights` and its slice of a vector."""
        return [w + e for w, e in zip(weights, self._split(vector), strict=True)]

    def _split(self, vector):
        """The vector as tensors with the shapes and dtypes of the weights."""
        return [
            ops.cast(ops.reshape(vector[begin:end], v.shape), v.dtype)
            for (begin, end), v in zip(self._bounds, self.variables, strict=True)
        ]


def joined(tensors: Iterable[Tensor]) -> Tensor:
    """One float32 vector of all tensors."""
    return ops.concatenate([ops.reshape(ops.cast(t, "float32"), [-1]) for t in tensors])

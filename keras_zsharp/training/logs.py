"""The logs of a step: the clean pass, and the sharpness."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_zsharp.backend.passes import Outcome
from keras_zsharp.keras_internals import calling
from keras_zsharp.ops import size_of
from keras_zsharp.typing import Batch, Tensor


class Sharpness(keras.metrics.Mean):
    """The mean of scalars. Python makes fewer calls for one than `keras.metrics.Mean` takes."""

    def __init__(self) -> None:
        super().__init__(name="sharpness")

    def update_state(self, values: Tensor, sample_weight: Any = None) -> None:
        """Adds a scalar.

        Args:
            values: The scalar.
            sample_weight: Its weight, an int or a scalar.
        """
        weight = ops.convert_to_tensor(sample_weight, self.dtype)
        self.total.assign_add(ops.cast(values, self.dtype) * weight)
        self.count.assign_add(weight)


def measured(model: Any, batch: Batch, outcome: Outcome, perturbing: bool | Tensor) -> Tensor:
    """Updates the metrics that plain Keras has not, and returns the loss at w.

    Args:
        model: A sharpness-aware model.
        batch: Tuple of inputs, targets and sample weights.
        outcome: The step's `Outcome`.
        perturbing: Whether the step has perturbed: a bool, or a boolean scalar tensor.
    """
    loss = calling.unscale_loss(outcome.loss)
    if outcome.finite is not None:
        model.skipping.metric.update_state(outcome.finite)
    if perturbing is False:
        return loss
    sharpness = calling.unscale_loss(outcome.shifted_loss) - loss
    weight = size_of(batch[0])
    if outcome.finite is not None:
        perturbing &= outcome.finite
        sharpness = ops.where(outcome.finite, sharpness, ops.zeros_like(sharpness))
    if perturbing is not True:
        weight *= ops.cast(perturbing, "int32")
    model.sharpness_tracker.update_state(sharpness, sample_weight=weight)
    return loss

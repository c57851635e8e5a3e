"""What comes of steps that are skipped, since their loss or gradients are not finite."""

from __future__ import annotations

import warnings
from typing import Any

import keras
from keras import ops

from keras_zsharp.typing import Tensor

IN_A_ROW = 40
"""Keras' scale starts at 2^15 and is halved 31 times down to the smallest: the loss scale can then
no longer be the reason."""


class SkippedSteps(keras.metrics.Metric):
    """The number of steps of an epoch that were skipped."""

    def __init__(self) -> None:
        super().__init__(name="skipped", dtype="float32")
        # Replicas skip a step together.
        once = {"initializer": "zeros", "aggregation": "only_first_replica"}
        self.steps = self.add_variable((), name="steps", **once)
        self.in_a_row = self.add_variable((), name="in_a_row", **once)

    def update_state(self, finite: Tensor) -> None:
        """Counts a step.

        Args:
            finite: Whether it was taken, a boolean scalar.
        """
        skipped = 1.0 - ops.cast(finite, "float32")
        self.steps.assign_add(skipped)
        self.in_a_row.assign(skipped * (self.in_a_row + 1.0))

    def result(self) -> Tensor:
        return self.steps + 0.0  # A value of its own, which stays when the next epoch begins.

    def reset_state(self) -> None:
        """The row of skipped steps goes on over epochs."""
        self.steps.assign(0.0)


class Skipping:
    """The `SkippedSteps` of a model, as `metric`. Keras saves no metric in an object like this."""

    def __init__(self) -> None:
        self.metric, self._warned = SkippedSteps(), False

    def warn(self, model: Any) -> None:
        """Warns if the last steps were all skipped, once a row. Call it on the host."""
        row = int(ops.convert_to_numpy(self.metric.in_a_row))
        if row >= IN_A_ROW and not self._warned:
            warnings.warn(
                f"The last {row} steps were all skipped: their loss or gradients were infinite or "
                "NaN, and the weights stay as they are. Look for NaN or infinity in the data, and "
                f"in the weights that the run started from. Received: model={model.name!r}",
                stacklevel=3,
            )
        self._warned = row >= IN_A_ROW

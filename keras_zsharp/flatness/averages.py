from __future__ import annotations

import collections
from collections.abc import Callable

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_zsharp import interrupts, outside
from keras_zsharp.backend.batch_loss import BatchLoss
from keras_zsharp.flatness.batches import Batches
from keras_zsharp.keras_internals import scoping


class Averages:
    """Means over all examples of what a `BatchLoss` computes of each batch.

    Args:
        batches: The batches of examples. They have an end.
        of_batch: The loss of a batch, and its derivatives.
        first_scale: Returns the scale of the loss to begin with.
    """

    def __init__(
        self,
        batches: Batches,
        of_batch: BatchLoss,
        first_scale: Callable[[], float],
    ) -> None:
        self._batches, self._of_batch = batches, of_batch
        # For each function: one may overflow where another does not.
        self._scales = collections.defaultdict(first_scale)

    def finite(self, name: str, vector: ArrayLike) -> list[np.ndarray]:
        """As `of`. Where float16 overflows, the scale of the loss is smaller from then on."""
        while True:
            values = self.of(name, vector)
            if np.isfinite(values[-1]).all() or self._scales[name] <= 1:
                return values
            self._scales[name] /= 16

    @interrupts.puts_back(scoping.open_scope)
    def of(self, name: str, vector: ArrayLike) -> list[np.ndarray]:
        """The mean of each value of the function `name` of a `BatchLoss`, in float64."""
        function, scale = getattr(self._of_batch, name), np.float32(self._scales[name])
        vector, totals, examples = np.asarray(vector, "float32"), [], 0
        for batch in self._batches:
            size = batch[0].shape[0]
            with outside.put_back(self._of_batch.model):
                values = [keras.ops.convert_to_numpy(v) for v in function(vector, scale, batch)]
            values = [size * value.astype("float64") for value in values]
            totals = [t + v for t, v in zip(totals, values, strict=True)] if totals else values
            examples += size
        if examples == 0:
            raise ValueError("`data` must hold at least one example. Received: none")
        return [total / examples for total in totals]

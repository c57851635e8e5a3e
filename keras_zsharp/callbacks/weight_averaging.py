from __future__ import annotations

import math
import warnings
from typing import Any

import keras
import numpy as np

from keras_zsharp import outside
from keras_zsharp.checks import count, number, positive_int
from keras_zsharp.flatness.batches import Batches, finite, kept, unpacked
from keras_zsharp.flatness.checks import checked
from keras_zsharp.keras_internals import calling, fitting, scoping, tracking
from keras_zsharp.ops import as_written
from keras_zsharp.typing import Data, Logs

STATISTICS = ("moving_mean", "moving_variance")


class WeightAveraging(keras.callbacks.Callback):
    """Stochastic weight averaging: training ends with the mean of the last epochs' weights.

    `w = 1/k sum_j w_j` over the trainable weights after k epochs, from `start` on. While the model
    trains, nothing changes. When `fit` ends, the model gets the mean. BatchNormalization's moving
    statistics are those of other weights: they are estimated again, as the means over `data` of the
    statistics of its batches, with dropout and augmentation as in training. All other state stays
    as the last epoch left it.

    Averaging finds flat minima without a second pass. It is the control for every other method that
    does, and can be used with each of them. Let the learning rate stay high in the last epochs.

    A `fit` that ends before `start` keeps its weights, with a warning. A run that
    `keras_zsharp.callbacks.Backup` resumes ends with the same bits.

    Args:
        start: float within [0, 1), the share of the epochs after which averaging begins, or an
            int >= 0, the number of these epochs.
        data: Training data, as `fit` takes it, for a model with BatchNormalization. Else None.
        every: int >= 1, the epochs from one addend to the next.
        batch_size: int >= 1, the examples per batch, for arrays. As in training.
        batches: int >= 1, the number of batches of `data` to read, or None for all.

    Raises:
        TypeError, ValueError: An argument is of the wrong type or outside of its bounds. When
            training begins: `data` is None, and the model has BatchNormalization.

    Source:
        Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, UAI
        2018, arXiv 1803.05407.

    Example:

    >>> import keras_zsharp
    >>> import numpy as np
    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> averaging = keras_zsharp.callbacks.WeightAveraging(start=0.5)
    >>> x, y = np.ones((4, 1)), np.zeros((4, 1))
    >>> history = model.fit(x, y, epochs=4, callbacks=[averaging], verbose=0)
    >>> averaging.averaged
    2
    """

    def __init__(
        self,
        start: float = 0.75,
        data: Data | None = None,
        *,
        every: int = 1,
        batch_size: int = 32,
        batches: int | None = None,
    ) -> None:
        super().__init__()
        if isinstance(start, float | np.floating):
            self.start = number("start", start, "within [0, 1), or an int", lambda s: 0 <= s < 1)
        else:
            self.start = count("start", start)
        self.every = positive_int("every", every)
        self.batch_size, self.batches = checked(batch_size=batch_size, batches=batches)
        self.data = None if data is None else kept(data, self.batch_size, self.batches)
        self.averaged, self._mean = 0, []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.data is None and (normalizing := _normalizing(self.model)):
            raise ValueError(
                "`data` must be training data for a model with BatchNormalization: the mean of the "
                "weights has other statistics. Received: data=None and the layers "
                f"{[layer.name for layer in normalizing]}"
            )
        self.averaged, self._mean = 0, []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        first: Any = self.start
        if isinstance(first, float):
            first = math.ceil(first * self.params["epochs"] - 1e-6)
        if epoch < first or (epoch - first) % self.every:
            return
        fitting.synced(self.model)
        weights = map(keras.ops.convert_to_numpy, self.model.trainable_variables)
        weights = [np.array(w, _wide(w)) for w in weights]
        self.averaged += 1
        self._mean = [
            mean + (w - mean) / self.averaged
            for mean, w in zip(self._mean or weights, weights, strict=True)
        ]

    def on_train_end(self, logs: Logs | None = None) -> None:
        if not self.averaged:
            warnings.warn(
                f"No weights were averaged: `fit` ended before start={self.start}.", stacklevel=2
            )
            return
        fitting.synced(self.model)
        for variable, value in zip(self.model.trainable_variables, self._mean, strict=True):
            variable.assign(keras.ops.cast(value, variable.dtype))
        if normalizing := _normalizing(self.model):
            data: Any = self.data
            _estimate(self.model, normalizing, finite(data, self.batch_size, self.batches))


def _wide(weight):
    """A dtype in which a mean has no rounding to speak of."""
    return weight.dtype if weight.dtype in ("float32", "float64") else "float32"


def _normalizing(model):
    kind = keras.layers.BatchNormalization
    return [la for la in tracking.flat_layers(model) if isinstance(la, kind) and la.trainable]


@as_written
def _estimate(model: Any, normalizing: list[Any], data: Batches) -> None:
    """Sets the moving statistics to the means of those of the batches, weighted by their sizes."""
    variables = [getattr(layer, name) for layer in normalizing for name in STATISTICS]
    momenta = [layer.momentum for layer in normalizing]
    totals, examples = [0.0] * len(variables), 0
    try:
        for layer in normalizing:
            layer.momentum = 0.0  # The moving statistics are then those of the batch.
        for leaves in data:
            x, *_ = unpacked(data.structure, leaves)
            x = keras.tree.map_structure(keras.ops.convert_to_tensor, x)
            size = leaves[0].shape[0]
            # What the pass assigns stays in the scope.
            with outside.put_back(model), scoping.Scope([]) as scope:
                calling.forward(model, x, training=True)
            found = [_of(scope, v) for v in variables]
            totals = [t + size * f.astype("float64") for t, f in zip(totals, found, strict=True)]
            examples += size
    finally:
        for layer, momentum in zip(normalizing, momenta, strict=True):
            layer.momentum = momentum
    if not examples:
        raise ValueError("`data` must hold at least one example. Received: none")
    for variable, total in zip(variables, totals, strict=True):
        variable.assign(keras.ops.cast(total / examples, variable.dtype))


def _of(scope, variable):
    """The value in a scope, or that of a layer which the pass has not called."""
    value = scope.read(variable)
    return keras.ops.convert_to_numpy(variable if value is None else value)

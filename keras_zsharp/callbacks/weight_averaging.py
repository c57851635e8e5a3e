from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from keras_zsharp.callbacks.statistics import estimate
from keras_zsharp.checks import count_or_share, positive_int, rounded_up
from keras_zsharp.flatness.batches import finite, kept
from keras_zsharp.flatness.checks import checked
from keras_zsharp.keras_internals import fitting, tracking
from keras_zsharp.typing import Data, Logs


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
    `keras_zsharp.callbacks.Backup` resumes ends with the same bits. After other ways to resume the
    mean is of the epochs since then, with a warning. `EarlyStopping` with `restore_best_weights`
    must come before it in the list of callbacks.

    Args:
        start: float within [0, 1), the share of the epochs after which averaging begins, or an
            int >= 0, the number of these epochs.
        data: Training data, as `fit` takes it, for a model with BatchNormalization. Else None.
        every: int >= 1, the epochs from one addend to the next.
        batch_size: int >= 1, the examples per batch, for arrays. As in training.
        batches: int >= 1, the number of batches of `data` to read, or None for all.

    Raises:
        TypeError, ValueError: An argument is of the wrong type or outside of its bounds. When
            training begins: `data` is None, and the model has BatchNormalization; `data` has no
            end; an `EarlyStopping` would undo the mean. While training: other variables are
            trainable than before.

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
        bound = "within [0, 1), or an int"
        self.start = count_or_share("start", start, bound, lambda share: 0 <= share < 1)
        self.every = positive_int("every", every)
        self.batch_size, self.batches = checked(batch_size=batch_size, batches=batches)
        self.data = None if data is None else kept(data, self.batch_size, self.batches)
        self.averaged, self._due, self._trained, self._mean = 0, 0, [], []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._check_order()
        if self._normalizing():
            self._batches()
        self.averaged, self._due, self._trained, self._mean = 0, 0, [], []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        first: Any = self.start
        if isinstance(first, float):
            first = rounded_up(first * self.params["epochs"])
        if epoch < first or (epoch - first) % self.every:
            return
        self._normalizing()
        fitting.synced(self.model)
        variables = self.model.trainable_variables
        # By their places: a resumed run may have other names.
        ids = set(map(id, variables))
        trained = [i for i, v in enumerate(self.model.weights) if id(v) in ids]
        if self.averaged and trained != self._trained:
            places = {*trained} ^ {*self._trained}
            raise ValueError(
                "The trainable variables must stay the same from `start` on, for a mean of the "
                "epochs. Received, in some of them alone: "
                f"{[self.model.weights[i].path for i in sorted(places)]}"
            )
        weights = [np.array(w, _wide(w)) for w in map(keras.ops.convert_to_numpy, variables)]
        self.averaged += 1
        self._due, self._trained = 1 + (epoch - first) // self.every, trained
        self._mean = [
            mean + (w - mean) / self.averaged
            for mean, w in zip(self._mean or weights, weights, strict=True)
        ]

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.averaged < max(self._due, 1):
            warnings.warn(
                f"The mean is of {self.averaged} epochs, of {self._due} since start={self.start}: "
                "`fit` began later, or ended before.",
                stacklevel=2,
            )
        if not self.averaged:
            return
        fitting.synced(self.model)
        variables = self.model.trainable_variables
        last = [keras.ops.copy(v) for v in variables]
        try:
            _assign(variables, self._mean)
            if normalizing := self._normalizing():
                estimate(self.model, normalizing, self._batches())
        except BaseException:
            _assign(variables, last)
            raise

    def _batches(self):
        data: Any = self.data
        return finite(data, self.batch_size, self.batches)

    def _normalizing(self):
        """The layers whose statistics are to be estimated. There must be data for them."""
        kind = keras.layers.BatchNormalization
        layers = [la for la in tracking.flat_layers(self.model) if isinstance(la, kind)]
        layers = [la for la in layers if la.trainable and la.built]
        if layers and self.data is None:
            raise ValueError(
                "`data` must be training data for a model with BatchNormalization: the mean of the "
                "weights has other statistics. Received: data=None and the layers "
                f"{[layer.name for layer in layers]}"
            )
        return layers

    def _check_order(self):
        """Refuses what would put the weights of one epoch back in the place of the mean."""
        fit = fitting.running_fit()
        others = fit.callbacks.callbacks if fit else []
        later = others[others.index(self) + 1 :] if self in others else []
        kind = keras.callbacks.EarlyStopping
        if any(isinstance(other, kind) and other.restore_best_weights for other in later):
            raise ValueError(
                "`WeightAveraging` must come after an `EarlyStopping` with "
                "`restore_best_weights=True` in the list of callbacks: that would put the weights "
                "of its best epoch in the place of the mean. Received: it before"
            )


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(keras.ops.cast(value, variable.dtype))


def _wide(weight):
    """A dtype in which a mean has no rounding to speak of."""
    return weight.dtype if weight.dtype in ("float32", "float64") else "float32"

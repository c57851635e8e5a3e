from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import keras

from keras_zsharp.checks import positive_int
from keras_zsharp.flatness import MeanLoss, ball_loss, hessian_spectrum, hessian_trace
from keras_zsharp.flatness.batches import kept
from keras_zsharp.flatness.checks import CHECKS, checked
from keras_zsharp.typing import Data, Logs


def _ball(model, data, **options):
    found = ball_loss(model, data, **options)
    return found.ball_loss, found.sharpness


def _eigenvalue(model, data, **options):
    return hessian_spectrum(model, data, k=1, **options)


def _trace(model, data, **options):
    return hessian_trace(model, data, **options)


# By name: the function that measures, the public one with its arguments, the names in the logs.
MEASURES: dict[str, tuple[Any, Any, tuple[str, ...]]] = {
    "ball": (_ball, ball_loss, ("ball_loss", "ball_sharpness")),
    "eigenvalue": (_eigenvalue, hessian_spectrum, ("hessian_eigenvalue",)),
    "trace": (_trace, hessian_trace, ("hessian_trace", "hessian_trace_error")),
}
GIVEN = {"model", "data", "k", "by", "eigenvectors", "batch_size", "batches"}


class SharpnessMonitor(keras.callbacks.Callback):
    """Measures how flat the loss is while a model trains, and logs it.

    After the epochs `every`, `2 every`, ... the logs get these values:

    | measure | logs | see |
    | --- | --- | --- |
    | `"ball"` | `ball_loss`, `ball_sharpness` | `keras_zsharp.flatness.ball_loss` |
    | `"eigenvalue"` | `hessian_eigenvalue`, the largest | `hessian_spectrum` |
    | `"trace"` | `hessian_trace`, `hessian_trace_error` | `hessian_trace` |

    After the other epochs they are NaN, so that every epoch has the same columns. `History`, the
    progress bar and all callbacks that come **after** this one in the list see them. Put it before
    `CSVLogger`, `TensorBoard` and `EarlyStopping`.

    Training ends with the same bits as without this callback, with one exception: if `data` is the
    shuffled dataset that the model trains on, reading it changes its next order. Pass arrays, or
    batches in a fixed order. For a bundle of `keras_zsharp.data`, pass `bundle.train`, and add
    `bundle.epoch_order` to the callbacks.

    Args:
        data: The data to measure on, as a rule training data: a `tf.data.Dataset` of batches or a
            tuple of arrays, or whatever else `fit` takes, see `keras_zsharp.flatness.MeanLoss`. A
            generator is read when the callback is made, once for all runs.
        measures: Names of measures, or a dict of names and the arguments of their functions:
            `{"ball": {"rho": 0.1, "steps": 3}, "trace": {}}`.
        every: int >= 1, the epochs from one measurement to the next.
        batch_size: int >= 1, the examples per batch, for arrays.
        batches: int >= 1, the number of batches to measure on, from the first one, or None for all.

    Raises:
        TypeError: A measure takes no such argument.
        TypeError, ValueError: There is no such measure; an argument, also of a measure, is of the
            wrong type or outside of its bounds.

    Example:

    >>> import keras_zsharp
    >>> import numpy as np
    >>> model = keras.Sequential([keras.layers.Dense(1, use_bias=False)])
    >>> model.compile("sgd", "mse")
    >>> data = np.ones((4, 1)), np.zeros((4, 1))
    >>> monitor = keras_zsharp.callbacks.SharpnessMonitor(data, every=2)
    >>> history = model.fit(*data, epochs=2, callbacks=[monitor], verbose=0)
    >>> sorted(history.history)
    ['ball_loss', 'ball_sharpness', 'loss']
    """

    def __init__(
        self,
        data: Data,
        measures: str | Iterable[str] | Mapping[str, Mapping[str, Any]] = ("ball",),
        every: int = 1,
        *,
        batch_size: int = 32,
        batches: int | None = None,
    ) -> None:
        super().__init__()
        self.every = positive_int("every", every)
        self.batch_size, self.batches = checked(batch_size=batch_size, batches=batches)
        self.measures = _checked(measures)
        # A generator is read once, for all runs.
        self.data = kept(data, self.batch_size, self.batches)
        self._mean = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        # The model may have been compiled anew since the last `fit`.
        self._mean = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = {} if logs is None else logs
        due = (epoch + 1) % self.every == 0
        if due and self._mean is None:
            self._mean = MeanLoss(self.model, self.data, self.batch_size, self.batches)
        for name, options in self.measures.items():
            measure, _, keys = MEASURES[name]
            values = (
                measure(self.model, self._mean, **options) if due else [float("nan")] * len(keys)
            )
            logs.update({key: float(value) for key, value in zip(keys, values, strict=True)})


def _checked(measures):
    """The measures as a dict of their options."""
    if isinstance(measures, str):
        measures = (measures,)
    if not isinstance(measures, dict | tuple | list | set):
        raise TypeError(
            f"`measures` must be a tuple or dict of {tuple(MEASURES)}. "
            f"Received: measures={measures!r} of type {type(measures)}"
        )
    unknown = [name for name in measures if not isinstance(name, str) or name not in MEASURES]
    if unknown:
        raise ValueError(
            f"`measures` must be of {tuple(MEASURES)}. Received: measures={measures!r}"
        )
    measures = dict(measures) if isinstance(measures, dict) else {name: {} for name in measures}
    for name, options in measures.items():
        allowed = set(inspect.signature(MEASURES[name][1]).parameters) - GIVEN
        if not set(options) <= allowed:
            raise TypeError(
                f"`measures[{name!r}]` must be arguments of {sorted(allowed)}. Received: {options}"
            )
        checked(**{argument: options[argument] for argument in options if argument in CHECKS})
    return measures

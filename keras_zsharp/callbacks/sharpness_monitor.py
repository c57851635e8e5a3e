import inspect

import keras

from keras_zsharp.checks import positive_int
from keras_zsharp.sharpness import MeanLoss, ball_loss, hessian_spectrum, hessian_trace
from keras_zsharp.sharpness.batches import check_data
from keras_zsharp.sharpness.checks import CHECKS, checked


def _ball(model, data, **options):
    found = ball_loss(model, data, **options)
    return found.ball_loss, found.sharpness


def _eigenvalue(model, data, **options):
    return hessian_spectrum(model, data, k=1, **options)


def _trace(model, data, **options):
    return hessian_trace(model, data, **options)


# What measures it, with which arguments, and what it is called in the logs.
MEASURES = {
    "ball": (_ball, ball_loss, ("ball_loss", "ball_sharpness")),
    "eigenvalue": (_eigenvalue, hessian_spectrum, ("hessian_eigenvalue",)),
    "trace": (_trace, hessian_trace, ("hessian_trace", "hessian_trace_error")),
}
GIVEN = {"model", "data", "k", "eigenvectors", "batch_size", "batches"}


class SharpnessMonitor(keras.callbacks.Callback):
    """Measures how flat the loss is while a model trains, and logs it.

    After epochs `every`, `2 every`, ... the logs get, by measure:

    | measure | logs | see |
    | --- | --- | --- |
    | `"ball"` | `ball_loss`, `ball_sharpness` | `keras_zsharp.sharpness.ball_loss` |
    | `"eigenvalue"` | `hessian_eigenvalue`, the largest | `hessian_spectrum` |
    | `"trace"` | `hessian_trace`, `hessian_trace_error` | `hessian_trace` |

    After the epochs between, they are NaN, so that every epoch has the same columns. `History`, the
    progress bar and all callbacks that come **after** this one in the list see them: put it before
    `CSVLogger`, `TensorBoard`, `EarlyStopping` and their like.

    Training is not touched: it ends with the same bits as without, unless `data` is what the model
    trains on and is shuffled: reading it once more then moves its order. Give arrays, or batches in
    a fixed order; of a `keras_zsharp.data` bundle, `train`, and `bundle.epoch_order` among the
    callbacks.

    Args:
        data: What to measure on, see `keras_zsharp.sharpness.MeanLoss`: a `tf.data.Dataset` of
            batches or a tuple of arrays, training data as a rule.
        measures: Names of measures, or a dict of names and the arguments of their functions:
            `{"ball": {"rho": 0.1, "steps": 3}, "trace": {}}`.
        every: int >= 1, the epochs from one measurement to the next.
        batch_size: int >= 1, for arrays: examples per batch.
        batches: int >= 1: only the first so many batches, or None: all.

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

    def __init__(self, data, measures=("ball",), every=1, *, batch_size=32, batches=None):
        super().__init__()
        check_data(data)
        self.data = data
        self.every = positive_int("every", every)
        self.batch_size, self.batches = checked(batch_size=batch_size, batches=batches)
        self.measures = _checked(measures)
        self._mean = None

    def on_train_begin(self, logs=None):
        # Of the last `fit`: the model may have been compiled anew since.
        self._mean = None

    def on_epoch_end(self, epoch, logs=None):
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

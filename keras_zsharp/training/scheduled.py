"""The logs of `fit` have the numbers of a rule that follow a schedule."""

from __future__ import annotations

from typing import Any

import keras

from keras_zsharp.training import of_fit


def logged(model: Any, fit: Any, args: Any, kwargs: Any) -> tuple[Any, dict[str, Any]]:
    """The arguments of a `fit`, with a callback if a number of the rule follows a schedule.

    A `CallbackList` is what its maker made it: it gets none.

    Args:
        model: A sharpness-aware model.
        fit: The method.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
    """
    whole = isinstance(of_fit.callbacks(fit, args, kwargs), keras.callbacks.CallbackList)
    if whole or not model.rule.scheduled_numbers():
        return args, kwargs
    return of_fit.with_callback(_Numbers(), fit, args, kwargs)


class _Numbers(keras.callbacks.Callback):
    """Adds to the logs of an epoch what the numbers are when it ends, as Keras does with rates.

    A metric would compute the schedule once more in every step.
    """

    def on_epoch_end(self, epoch, logs=None):
        model: Any = self.model
        for name, value in model.rule.scheduled_numbers().items():
            (logs if logs is not None else {}).setdefault(name, value)

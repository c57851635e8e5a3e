"""The logs of `fit` have the numbers of a rule that follow a schedule."""

from __future__ import annotations

import inspect
from typing import Any

import keras


def logged(model: Any, fit: Any, args: Any, kwargs: Any) -> tuple[Any, dict[str, Any]]:
    """The arguments of a `fit`, with a callback if a number of the rule follows a schedule.

    A `CallbackList` is what its maker made it: it gets none.

    Args:
        model: A sharpness-aware model.
        fit: The method.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
    """
    whole = isinstance(callbacks(fit, args, kwargs), keras.callbacks.CallbackList)
    if whole or not model.rule.scheduled_numbers():
        return args, kwargs
    return with_callback(_Numbers(), fit, args, kwargs)


def callbacks(fit: Any, args: Any, kwargs: Any) -> Any:
    """What a `fit` is given as `callbacks`."""
    place = _place(fit, args)
    return args[place] if place < len(args) else kwargs.get("callbacks")


def with_callback(
    callback: keras.callbacks.Callback, fit: Any, args: Any, kwargs: Any
) -> tuple[Any, dict[str, Any]]:
    """The arguments of a `fit`, with a callback before its others.

    Args:
        callback: The callback.
        fit: The method.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
    """
    place = _place(fit, args)
    all_of_them = [callback, *keras.tree.flatten(callbacks(fit, args, kwargs) or [])]
    if place < len(args):
        return (*args[:place], all_of_them, *args[place + 1 :]), kwargs
    return args, {**kwargs, "callbacks": all_of_them}


def _place(fit, args):
    names = list(inspect.signature(fit).parameters)
    return names.index("callbacks") if "callbacks" in names else len(args)


class _Numbers(keras.callbacks.Callback):
    """Adds to the logs of an epoch what the numbers are when it ends, as Keras does with rates.

    A metric would compute the schedule once more in every step.
    """

    def on_epoch_end(self, epoch, logs=None):
        model: Any = self.model
        for name, value in model.rule.scheduled_numbers().items():
            (logs if logs is not None else {}).setdefault(name, value)

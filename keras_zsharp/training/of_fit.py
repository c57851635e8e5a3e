"""The callbacks among the arguments of a `fit`."""

from __future__ import annotations

import inspect
from typing import Any

import keras


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

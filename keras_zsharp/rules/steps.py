"""The number of a step. A rule counts nothing: its methods get the number if they take `step`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_zsharp.typing import Schedule, Tensor

NEEDED = (
    "`step` must be the number of steps that the optimizer has taken, such as "
    "`optimizer.iterations`, an int or an integer scalar"
)
METHODS = ("perturbs", "call", "descent", "plain_descent")
"""The methods of a rule that may take `step`."""


def at(step: Tensor | None, method: Callable[..., Any], *args: Any) -> Any:
    """Calls a method of a rule, with the step if it has an argument `step`."""
    return method(*args) if _argument(method) is None else method(*args, step=step)


def matter_to(rule: Any) -> bool:
    """Whether a rule depends on the step: it has a schedule, or one of its methods requires it."""
    taken = [_argument(getattr(rule, name)) for name in METHODS]
    required = any(each is not None and each.default is each.empty for each in taken)
    return required or any(isinstance(value, Schedule) for value in vars(rule).values())


def checked(step: Any) -> Tensor:
    """The step as a tensor.

    Raises:
        TypeError: It is no integer scalar.
    """
    tensor = ops.convert_to_tensor(step)
    if len(tensor.shape) or not keras.backend.is_int_dtype(tensor.dtype):
        raise TypeError(f"{NEEDED}. Received: step={step!r}")
    return tensor


_ARGUMENTS: dict[Any, Any] = {}
"""By function. PyTorch's compiler does not follow weak references."""


def _argument(method):
    function = getattr(method, "__func__", method)
    if function in _ARGUMENTS:
        return _ARGUMENTS[function]
    argument = inspect.signature(function).parameters.get("step")
    if inspect.isfunction(function):  # Other callables may be made anew at each call.
        _ARGUMENTS[function] = argument
    return argument

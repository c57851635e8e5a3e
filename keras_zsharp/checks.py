"""Checks of arguments."""

from __future__ import annotations

import difflib
import inspect
import math
import operator
import os
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import keras
import numpy as np

from keras_zsharp.typing import Path

AnyPath = TypeVar("AnyPath", bound=Path)

LARGEST = 1e9
"""Products of numbers up to this one with gradients and weights fit into float32."""


def number(
    name: str, value: Any, bound: str = "", holds: Callable[[float], bool] = lambda value: True
) -> float:
    """`value` as a float, after checking that it is a number within its bound.

    Args:
        name: The argument's name, for the message.
        value: The argument.
        bound: The bound in words, such as `">= 0"`.
        holds: Whether a float is within the bound.

    Raises:
        TypeError: `value` is no number.
        ValueError: `value` is out of its bound, not finite, or larger than `LARGEST`.
    """
    if hasattr(value, "assign"):
        raise TypeError(
            f"`{name}` must be a number, and no variable, whose later values would be missed. Pass "
            f"`float(variable)`. Received: {name}={value!r} of type {type(value)}"
        )
    try:
        value = float(_as_number(value))
    except OverflowError:
        value = math.copysign(math.inf, int(value > 0) - 0.5)
    except Exception:  # Tensors without a value raise whatever their backend likes.
        raise TypeError(
            f"`{name}` must be a number. Received: {name}={value!r} of type {type(value)}"
        ) from None
    if not holds(value):
        raise ValueError(f"`{name}` must be {bound}. Received: {name}={value}")
    if not math.isfinite(value):
        raise ValueError(f"`{name}` must be finite. Received: {name}={value}")
    if abs(value) > LARGEST:
        raise ValueError(f"`{name}` must be at most {LARGEST:g} in size. Received: {name}={value}")
    return value


def _as_number(value: Any) -> Any:
    """`value` if it is a real number, an array or a tensor of one, and no bool."""
    if isinstance(value, bool | str | bytes) or np.ndim(value):
        raise TypeError
    if hasattr(value, "dtype") and not isinstance(value, np.floating):
        dtype = keras.backend.standardize_dtype(value.dtype)
        if not (keras.backend.is_float_dtype(dtype) or keras.backend.is_int_dtype(dtype)):
            raise TypeError
    return value


def radius(rho: Any) -> float:
    """`rho` as a float, after checking that it is >= 0."""
    return number("rho", rho, ">= 0", lambda rho: rho >= 0)


def positive_eta(eta: Any) -> float:
    """`eta` as a float, after checking that it is > 0."""
    return number("eta", eta, "> 0", lambda eta: eta > 0)


def positive_int(name: str, value: Any) -> int:
    """`value` as an int, after checking that it is >= 1."""
    return count(name, value, least=1)


def count(name: str, value: Any, least: int = 0) -> int:
    """`value` as an int, after checking that it is >= `least`."""
    value = integer(name, value)
    if value < least:
        raise ValueError(f"`{name}` must be an int >= {least}. Received: {name}={value}")
    return value


def count_or_share(
    name: str, value: Any, bound: str, holds: Callable[[float], bool]
) -> int | float:
    """`value` as an int >= 0, or as a float that is a share within its bound.

    Args:
        name: The argument's name, for the message.
        value: The argument.
        bound: The bound of both in words.
        holds: Whether a float is within the bound.
    """
    if isinstance(value, float | np.floating):
        return number(name, value, bound, holds)
    return count(name, value)


ROUNDING = 1e-6
"""What a product of a share and a size may be too large by: 0.07 * 100 is 7.000000000000001."""


def rounded_up(product: float) -> int:
    """The smallest int that is not below a product of a share and a size."""
    return math.ceil(product - ROUNDING)


def integer(name: str, value: Any) -> int:
    """`value` as an int, after checking that it is an int of Python or NumPy."""
    try:
        if hasattr(value, "assign"):
            raise TypeError
        value = operator.index(_as_number(value))
    except Exception:  # Tensors without a value raise whatever their backend likes.
        raise TypeError(
            f"`{name}` must be an int. Received: {name}={value!r} of type {type(value)}"
        ) from None
    if value.bit_length() > 63:
        raise ValueError(f"`{name}` must be an int of 64 bits. Received: {name}={value}")
    return value


def flag(name: str, value: Any, or_else: str = "") -> bool:
    """`value` as a bool, after checking that it is a bool of Python or NumPy."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(
            f"`{name}` must be a bool{or_else}. Received: {name}={value!r} of type {type(value)}"
        )
    return bool(value)


def _string(name, value, or_else=""):
    if not isinstance(value, str):
        raise TypeError(
            f"`{name}` must be a string{or_else}. Received: {name}={value!r} of type {type(value)}"
        )
    return value


def word(name: str, value: Any) -> str:
    """`value`, after checking that it is a string that is not empty."""
    if not _string(name, value):
        raise ValueError(f"`{name}` must not be empty. Received: {name}={value!r}")
    return value


def one_of(name: str, value: Any, *choices: str, or_else: str = "") -> Any:
    """`value`, after checking that it is one of the strings `choices`.

    Args:
        name: The argument's name, for the message.
        value: The argument.
        *choices: The strings.
        or_else: What else the argument may be, such as `" or None"`, for the message.
    """
    if _string(name, value, or_else) not in choices:
        *others, last = map(repr, choices)
        words = f"{', '.join(others)} or {last}" if others else last
        raise ValueError(
            f"`{name}` must be {words}{or_else}. Received: {name}={value!r}"
            f"{did_you_mean(value, choices)}"
        )
    return value


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The end of an error about a name that there is not. It names the nearest, if one is near.

    Args:
        name: What came.
        names: What there is.
    """
    near = difflib.get_close_matches(name, list(names), 1)
    return f". Did you mean {near[0]!r}?" if near else ""


def arguments(name: str, names: Iterable[str], received: Iterable[str]) -> None:
    """Checks that keyword arguments are some that there are.

    Args:
        name: Of the function or class, for the message.
        names: The arguments that there are.
        received: The names of those that came.

    Raises:
        TypeError: There is no such argument.
    """
    names = list(names)
    for each in received:
        if each not in names:
            raise TypeError(
                f"`{name}` must get arguments that it has: {', '.join(names)}. "
                f"Received: {each}{did_you_mean(each, names)}"
            )


def arguments_of(made: type, received: Iterable[str]) -> None:
    """Checks that a class can be made with keyword arguments, as `arguments` does.

    Args:
        made: The class.
        received: The names of the arguments.
    """
    parameters = list(inspect.signature(made.__init__).parameters.values())[1:]
    if not any(each.kind is each.VAR_KEYWORD for each in parameters):
        arguments(made.__name__, (each.name for each in parameters), received)


def path(name: str, value: AnyPath) -> AnyPath:
    """`value`, after checking that it names a file or folder."""
    if not isinstance(value, str | os.PathLike):
        raise TypeError(
            f"`{name}` must be a str or a path. Received: {name}={value!r} of type {type(value)}"
        )
    if not os.fspath(value) or "\0" in os.fspath(value):
        raise ValueError(f"`{name}` must name a file or folder. Received: {name}={value!r}")
    return value

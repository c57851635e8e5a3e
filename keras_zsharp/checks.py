"""Checks of arguments."""

import math
import operator
import os

import numpy as np

LARGEST = 1e9
"""Products of such numbers with gradients and weights still fit into float32."""


def number(name, value, bound="", holds=lambda value: True):
    """`value` as a float, after checking that it is a number of sensible size within its bound.

    Args:
        name: The argument's name, for the message.
        value: What the caller passed.
        bound: The bound in words, such as `">= 0"`.
        holds: Whether a float is within the bound.
    """
    try:
        value = float(_as_number(value))
    except (TypeError, ValueError):
        raise TypeError(
            f"`{name}` must be a number. Received: {name}={value!r} of type {type(value)}"
        ) from None
    except OverflowError:
        value = math.copysign(math.inf, int(value > 0) - 0.5)
    if not holds(value):
        raise ValueError(f"`{name}` must be {bound}. Received: {name}={value}")
    if not math.isfinite(value):
        raise ValueError(f"`{name}` must be finite. Received: {name}={value}")
    if abs(value) > LARGEST:
        raise ValueError(f"`{name}` must be at most {LARGEST:g} in size. Received: {name}={value}")
    return value


def _as_number(value):
    other = isinstance(value, np.ndarray) and value.dtype.kind in "bSUO"
    if other or isinstance(value, bool | np.bool_ | str | bytes) or np.ndim(value):
        raise TypeError
    return value


def radius(rho):
    return number("rho", rho, ">= 0", lambda rho: rho >= 0)


def positive_eta(eta):
    return number("eta", eta, "> 0", lambda eta: eta > 0)


def positive_int(name, value):
    return count(name, value, least=1)


def count(name, value, least=0):
    """`value` as an int, after checking that it is one >= `least`."""
    value = integer(name, value)
    if value < least:
        raise ValueError(f"`{name}` must be an int >= {least}. Received: {name}={value}")
    return value


def integer(name, value):
    """`value` as an int, after checking that it is one, maybe of NumPy."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        value = operator.index(value)
    except TypeError:
        raise TypeError(
            f"`{name}` must be an int. Received: {name}={value!r} of type {type(value)}"
        ) from None
    if value.bit_length() > 63:
        raise ValueError(f"`{name}` must be an int of 64 bits. Received: {name}={value}")
    return value


def flag(name, value):
    """`value` as a bool, after checking that it is one."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(
            f"`{name}` must be a bool. Received: {name}={value!r} of type {type(value)}"
        )
    return bool(value)


def one_of(name, value, *choices):
    """`value`, after checking that it is one of the strings `choices`."""
    if not isinstance(value, str):
        raise TypeError(
            f"`{name}` must be a string. Received: {name}={value!r} of type {type(value)}"
        )
    if value not in choices:
        *others, last = map(repr, choices)
        raise ValueError(
            f"`{name}` must be {', '.join(others)} or {last}. Received: {name}={value!r}"
        )
    return value


def path(name, value):
    """`value`, after checking that it names a file or folder."""
    if not isinstance(value, str | os.PathLike):
        raise TypeError(
            f"`{name}` must be a str or a path. Received: {name}={value!r} of type {type(value)}"
        )
    if not os.fspath(value) or "\0" in os.fspath(value):
        raise ValueError(f"`{name}` must name a file or folder. Received: {name}={value!r}")
    return value

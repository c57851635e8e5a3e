"""Objects as JSON and arrays, and back: what callbacks and generators remember."""

from __future__ import annotations

import collections
import random
from collections.abc import Iterable, MutableMapping, MutableSet
from typing import Any

import keras
import numpy as np

from keras_zsharp.resuming.program_code import is_of_library

DEEPEST = 20


class NotPlain(TypeError):
    """A value that is none of numbers, strings, arrays, and containers of them."""


def encoded(value: Any, arrays: list[np.ndarray], within: tuple[int, ...] = ()) -> Any:
    """A value as JSON. Its arrays are appended to `arrays`.

    Args:
        value: The value.
        arrays: List that gets the arrays.
        within: The ids of what `value` is in.

    Raises:
        NotPlain: The value cannot be encoded.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if id(value) in within or len(within) == DEEPEST:
        raise NotPlain("a value within itself")
    within = (*within, id(value))
    code = _of_numbers(value, arrays)
    if code is not None:
        return code
    tag, values, more = _parts(value)
    return {tag: [encoded(each, arrays, within) for each in values], **more}


def _of_numbers(value, arrays):
    if isinstance(value, keras.Variable) or keras.ops.is_tensor(value):
        tag = "variable" if isinstance(value, keras.Variable) else "tensor"
        return {tag: _array(keras.ops.convert_to_numpy(value), arrays)}
    if isinstance(value, np.ndarray | np.generic):
        tag = "array" if isinstance(value, np.ndarray) else "number"
        return {tag: _array(np.asarray(value), arrays)}
    # `ReduceLROnPlateau` keeps the function that compares.
    is_op = getattr(keras.ops, getattr(value, "__name__", ""), None) is value
    return {"op": value.__name__} if is_op else None


def _parts(value):
    """What kind of thing it is, the values in it, and what else is known of it."""
    kind = type(value)
    if isinstance(value, MutableMapping):
        return "dict", [each for pair in value.items() for each in pair], {}
    if kind in (list, tuple):
        return kind.__name__, value, {}
    if kind is collections.deque:
        return "deque", value, {"maxlen": value.maxlen}
    if kind in (set, frozenset):
        return kind.__name__, sorted(value, key=repr), {}
    if isinstance(value, np.random.Generator):
        return "generator", [value.bit_generator.state], {}
    if isinstance(value, random.Random):
        return "random", [value.getstate()], {}
    if not is_of_library(kind) and hasattr(value, "__dict__") and not callable(value):
        return "object", [vars(value)], {}
    raise NotPlain(kind.__name__)


def _array(array, arrays):
    if array.dtype.kind == "O":
        raise NotPlain("an array of objects")
    # Bytes: HDF5 has no bfloat16.
    dtype = array.dtype.name if array.dtype.kind == "V" else array.dtype.str
    arrays.append(np.ascontiguousarray(array).reshape(-1).view("uint8"))
    return [len(arrays) - 1, dtype, list(array.shape)]


def decoded(code: Any, arrays: list[np.ndarray], present: Any = None) -> Any:
    """The value of which `encoded` made a code.

    Args:
        code: The JSON.
        arrays: The arrays.
        present: The object that has its place. It becomes the value, if it can.

    Raises:
        NotPlain: The value must change an object, and `present` is none such.
    """
    if not isinstance(code, dict):
        return code
    (tag, content), *_ = code.items()
    if tag in ("array", "number", "tensor", "variable"):
        index, dtype, shape = content
        array = arrays[index].view(np.dtype(dtype)).reshape(shape).copy()
        return _of_array(tag, array, present)
    if tag == "op":
        return getattr(keras.ops, content)
    values = [decoded(each, arrays) for each in content]
    if tag in ("generator", "random", "object"):
        return _changed(tag, values[0], present)
    if tag == "dict":
        values = dict(zip(values[::2], values[1::2], strict=True))
    return _filled(tag, values, code.get("maxlen"), present)


def _of_array(tag, array, present):
    if tag == "variable" and isinstance(present, keras.Variable):
        present.assign(array)
        return present
    return {"array": lambda: array, "number": lambda: array[()]}.get(
        tag, lambda: keras.ops.convert_to_tensor(array)
    )()


def _filled(tag, values, limit, present):
    """A container with values: the present one, of which others may hold a reference."""
    if tag == "dict" and isinstance(present, MutableMapping):
        present.clear()
        present.update(values)
        return present
    kinds: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
    if tag == "deque":
        return collections.deque(values, limit)
    if type(present) is kinds.get(tag) and isinstance(present, list | MutableSet):
        present.clear()
        _add_all(present, values)
        return present
    return kinds[tag](values) if tag in kinds else values


def _add_all(container: Any, values: Iterable[Any]) -> None:
    (container.extend if isinstance(container, list) else container.update)(values)


def _changed(tag, values, present):
    if tag == "generator" and isinstance(present, np.random.Generator):
        present.bit_generator.state = values
    elif tag == "random" and isinstance(present, random.Random):
        present.setstate(values)
    elif tag == "object" and hasattr(present, "__dict__"):
        vars(present).update(values)
    else:
        raise NotPlain(tag)
    return present

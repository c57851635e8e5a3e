"""Objects as JSON and arrays, and back: what callbacks and generators remember."""

from __future__ import annotations

import collections
import enum
import hashlib
import itertools
import json
import pickle
import random
import sys
from collections.abc import Collection, Iterable, MutableMapping
from typing import Any

import keras
import numpy as np

from keras_zsharp.resuming.program_code import is_of_library

DEEPEST = 20
MOST_PICKLED = 1 << 26
OF_KERAS = (keras.Layer, keras.Metric, keras.Optimizer, keras.random.SeedGenerator)
"""Objects whose variables are what changes of them."""
STATEFUL: dict[str, tuple[type, str]] = {
    "generator": (np.random.Generator, "bit_generator"),
    "random": (random.Random, "setstate"),
    "state": (object, "set_state"),
}
"""Generators of random numbers, and what sets their state."""


class NotPlain(TypeError):
    """A value that is none of numbers, strings, arrays, and containers of them."""


def encoded(
    value: Any,
    arrays: list[np.ndarray],
    own: Collection[int] = (),
    within: tuple[int, ...] = (),
) -> Any:
    """A value as JSON. Its arrays are appended to `arrays`.

    Args:
        value: The value.
        arrays: List that gets the arrays.
        own: The ids of objects that are saved elsewhere: the model, its layers and optimizer.
        within: The ids of what `value` is in.

    Raises:
        NotPlain: The value cannot be encoded.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if id(value) in own:
        return {"own": []}
    if id(value) in within or len(within) == DEEPEST:
        raise NotPlain("a value within itself")
    within = (*within, id(value))
    code = _of_numbers(value, arrays)
    if code is not None:
        return code
    tag, values, more = _parts(value)
    return {tag: [encoded(each, arrays, own, within) for each in values], **more}


def token(value: Any, own: Collection[int] = ()) -> Any:
    """What tells whether a value has changed: a hash, or itself, where nothing else is known of it.

    Args:
        value: The value.
        own: As in `encoded`.
    """
    arrays: list[np.ndarray] = []
    digest = hashlib.sha256()
    try:
        digest.update(json.dumps(encoded(value, arrays, own)).encode())
        for array in arrays:
            digest.update(array.data)
    except NotPlain:
        try:
            pickle.Pickler(_Hashed(digest)).dump(value)
        except Exception:  # Open files, locks, lambdas: there are as many errors as kinds.
            return value
    return digest.digest()


class _Hashed:
    """A file of which only the hash is kept, and not of too much."""

    def __init__(self, digest: Any) -> None:
        self._digest, self._left = digest, MOST_PICKLED

    def write(self, data: Any) -> int:
        self._left -= len(data)
        if self._left < 0:
            raise NotPlain("much")
        self._digest.update(data)
        return len(data)


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
    if kind is tuple or isinstance(value, list):
        return "tuple" if kind is tuple else "list", value, {}
    if kind is collections.deque:
        return "deque", value, {"maxlen": value.maxlen}
    if kind is frozenset or isinstance(value, set):
        return "frozenset" if kind is frozenset else "set", sorted(value, key=repr), {}
    if kind is bytes:
        return "bytes", [value.hex()], {}
    if kind is complex:
        return "complex", [value.real, value.imag], {}
    return _parts_of_state(value)


def _parts_of_state(value):
    """The same of an object that can be changed and not be made."""
    kind = type(value)
    if isinstance(value, np.random.Generator):
        return "generator", [value.bit_generator.state], {}
    if isinstance(value, random.Random):
        return "random", [value.getstate()], {}
    if hasattr(value, "get_state") and hasattr(value, "set_state"):  # Of NumPy and PyTorch.
        return "state", [value.get_state()], {}
    if isinstance(value, OF_KERAS):
        return "variables", _variables(value), {}
    if _is_object(value):
        return "object", [vars(value)], {"class": f"{kind.__module__}:{kind.__qualname__}"}
    raise NotPlain(kind.__name__)


def _variables(value):
    return list(getattr(value, "variables", None) or [value.state])


def _is_object(value):
    """Whether the attributes of an object are all that it holds."""
    held = (int, float, complex, str, bytes, tuple, frozenset, np.ndarray, type, enum.Enum)
    own = not is_of_library(type(value)) and hasattr(value, "__dict__")
    return own and not callable(value) and not isinstance(value, held)


def _array(array, arrays):
    if array.dtype.kind == "O" or array.dtype.names:
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
    if tag == "own":
        return present
    if tag == "dict":
        return _dict(content, arrays, present)
    if tag == "variables":
        return _of_variables(content, arrays, present)
    if tag == "object":
        return _object(content[0], arrays, code["class"], present)
    place = present if isinstance(present, list | tuple | collections.deque) else ()
    values = [decoded(c, arrays, old) for c, old in itertools.zip_longest(content, place)][
        : len(content)
    ]
    if tag in STATEFUL:
        return _changed(tag, values[0], present)
    return _filled(tag, values, code.get("maxlen"), present)


def _of_array(tag, array, present):
    if tag != "variable":
        made = {"array": lambda: array, "number": lambda: array[()]}
        return made.get(tag, lambda: keras.ops.convert_to_tensor(array))()
    if not isinstance(present, keras.Variable) or tuple(present.shape) != array.shape:
        raise NotPlain(tag)
    present.assign(array)
    return present


def _dict(content, arrays, present):
    place = present if isinstance(present, MutableMapping) else {}
    keys = [decoded(code, arrays) for code in content[::2]]
    values = [
        decoded(c, arrays, dict(place).get(key)) for key, c in zip(keys, content[1::2], strict=True)
    ]
    if place is not present:
        return dict(zip(keys, values, strict=True))
    place.clear()
    for key, value in zip(keys, values, strict=True):  # `Counter.update` would count them.
        place[key] = value
    return place


def _of_variables(content, arrays, present):
    variables = _variables(present) if isinstance(present, OF_KERAS) else []
    if len(variables) != len(content):
        raise NotPlain("variables")
    for variable, code in zip(variables, content, strict=True):
        decoded(code, arrays, variable)
    return present


def _object(content, arrays, name, present):
    """The object that is there, or else one of that class of the program."""
    if not hasattr(present, "__dict__"):
        module, _, path = name.partition(":")
        found: Any = sys.modules.get(module)
        for part in path.split("."):
            found = getattr(found, part, None)
        if not isinstance(found, type) or is_of_library(found):
            raise NotPlain(name)
        present = object.__new__(found)
    decoded(content, arrays, vars(present))
    return present


def _filled(tag, values, limit, present):
    """A container with values: the present one, of which others may hold a reference."""
    if tag in ("bytes", "complex"):
        return bytes.fromhex(values[0]) if tag == "bytes" else complex(*values)
    if tag == "deque":
        return collections.deque(values, limit)
    kinds: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
    if tag in ("list", "set") and isinstance(present, kinds[tag]):
        present.clear()
        _add_all(present, values)
        return present
    return kinds[tag](values)


def _add_all(container: Any, values: Iterable[Any]) -> None:
    (container.extend if isinstance(container, list) else container.update)(values)


def _changed(tag, values, present):
    kind, change = STATEFUL[tag]
    if not isinstance(present, kind) or not hasattr(present, change):
        raise NotPlain(tag)
    if tag == "generator":
        present.bit_generator.state = values
    else:
        getattr(present, change)(values)
    return present

"""What the functions and classes of a program do, as hashes. Those of libraries are left out."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import dis
import enum
import functools
import hashlib
import os
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

PYTHON = f"Python {sys.version_info.major}.{sys.version_info.minor}"
"""Its bytecode is of this version."""
LIBRARIES = {"keras", "keras_zsharp", *sys.stdlib_module_names}
NAMESPACES = (types.SimpleNamespace, argparse.Namespace)
OF_KERAS = (keras.Layer, keras.Variable, keras.Optimizer, keras.Metric)
"""Objects that change while they train. What a model has of them is said elsewhere."""
OF_OBJECTS = {*vars(object), "__post_init__", "get_config"}
"""Methods that name all that an object holds. `dataclasses` writes some of them."""
CONTAINERS = (list, tuple, set, frozenset, collections.deque)


def is_of_library(value: Any) -> bool:
    """Whether a class, function or module is not of the program itself."""
    if isinstance(value, types.FunctionType):  # A decorator may have given it another `__module__`.
        module = value.__globals__.get("__name__") or "builtins"
    elif isinstance(value, types.ModuleType):
        module = value.__name__
    else:
        module = getattr(value, "__module__", None) or "builtins"
    if module == "__main__":  # Its file may be that of a program which runs other programs.
        return False
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    installed = "site-packages" in file or "dist-packages" in file
    return installed or module.partition(".")[0] in LIBRARIES


def of(value: Any) -> dict[str, Any]:
    """Hashes of a function, or of the functions of a class, by their names.

    Args:
        value: The function or class.
    """
    if not isinstance(value, type):
        whole = getattr(value, "__func__", value)
        functions = [value] if any(map(_is_own, _unwrapped(whole))) else []
    else:
        functions = list(_functions(value))
    hashes = {_name(function): hashed(_described(function)) for function in functions}
    return {f"code, {PYTHON}": hashes} if hashes else {}


def attributes(value: Any) -> dict[str, Any]:
    """What the functions of an object's class read of it, as numbers, strings or hashes.

    Args:
        value: An object. Of one whose class is a library's, there is nothing.
    """
    functions = list(_functions(type(value)))
    if not functions:
        return {}
    reader = _read(functions)
    return {
        name: described if is_plain(described) else hashed(described)
        for name, each in _attributes(value).items()
        if name in reader.names and not isinstance(each, OF_KERAS)
        for described in [_described(each, reader.names)]
    }


def is_plain(value: Any) -> bool:
    """Whether a value is a number, a string or None."""
    return value is None or isinstance(value, bool | int | float | str)


def hashed(*values: Any) -> str:
    """A short hash of values by their `repr`."""
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


def _is_own(value):
    return isinstance(value, types.FunctionType) and not is_of_library(value)


def _functions(cls) -> Iterator[types.FunctionType]:
    """Those that a class has of the program."""
    for each in cls.__mro__:
        if not is_of_library(each):
            for member in [*vars(each).values()]:
                member = getattr(member, "fget", None) or getattr(member, "func", member)
                member = getattr(member, "__func__", member)
                if any(map(_is_own, _unwrapped(member))):
                    yield member


def _name(function):
    *_, innermost = _unwrapped(function)
    return innermost.__qualname__.rpartition("<locals>.")[2]


def _unwrapped(function) -> list[Any]:
    """A function, and those that its decorators have wrapped, also in objects such as of `jit`."""
    chain: list[Any] = []
    while callable(function) and not isinstance(function, type) and function not in chain:
        chain.append(function)
        function = getattr(function, "__wrapped__", None)
    return chain


def _attributes(value) -> dict[str, Any]:
    """What an object holds, and what its classes of the program do, but no functions."""
    kinds = [cls for cls in reversed(type(value).__mro__) if not is_of_library(cls)]
    slots = [name for cls in kinds for name in _slots(cls) if hasattr(value, name)]
    shared = {k: v for cls in kinds for k, v in _data(cls).items()}
    own = {name: getattr(value, name) for name in slots} | getattr(value, "__dict__", {})
    return shared | own


def _slots(cls):
    slots = vars(cls).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else slots


def _data(cls):
    """The attributes of a class that are none of its functions and of Python's own."""
    return {
        name: value
        for name, value in vars(cls).items()
        if not name.startswith("__") and not hasattr(type(value), "__get__")
    }


def _described(value, names=None):
    """A value as lists, numbers and strings. First finds the names that are read, then uses them.

    A namespace of a program also has what does not change what it trains, such as the number of
    epochs, and so only those of its attributes and keys count that its functions name.
    """
    return _Reader(_read([value]).names | (names or set())).value(value)


def _read(values):
    reader = _Reader(None)
    for value in values:
        reader.value(value)
    return reader


class _Reader:
    """Describes values, and collects the names that the functions among them read.

    Args:
        names: The names of attributes and keys that count, or None for all.
    """

    def __init__(self, names: set[str] | None) -> None:
        self._all, self.names = names is None, names or set()
        self._within: dict[int, Any] = {}

    def value(self, value: Any) -> Any:
        """Describes a value."""
        if isinstance(value, str):  # Of a path, the content counts and not the place.
            return "a path" if os.sep in value else str(value)
        if is_plain(value):
            return value
        if id(value) in self._within:
            return None
        self._within[id(value)] = value
        if isinstance(value, np.ndarray | np.generic) or keras.ops.is_tensor(value):
            return _of_array(value)
        if isinstance(value, enum.Enum):
            return [type(value).__name__, value.name]
        if isinstance(value, Mapping):
            return self._selected(dict(value), or_all=True)
        if isinstance(value, CONTAINERS):
            values = [self.value(each) for each in value]
            return sorted(values, key=repr) if isinstance(value, set | frozenset) else values
        return self._of_code(value)

    def _of_code(self, value):
        if isinstance(value, functools.partial):
            return [self.value(each) for each in (value.func, value.args, value.keywords)]
        if isinstance(value, types.MethodType):
            return [self.value(value.__func__), self.value(value.__self__)]
        own = [each for each in _unwrapped(value) if _is_own(each)]
        if own:
            return [self._function(each) for each in own]
        if isinstance(value, type):
            return self._class(value)
        return self._object(value)

    def _class(self, cls):
        if is_of_library(cls):
            return cls.__qualname__
        functions = self._methods(cls)
        data = {
            k: v
            for kind in reversed(cls.__mro__)
            if kind is not object
            for k, v in (_data(kind) if not is_of_library(kind) else {}).items()
        }
        return [cls.__qualname__, functions, self._selected(data)]

    def _object(self, value):
        kind = type(value)
        if isinstance(value, OF_KERAS) or (
            is_of_library(kind) and not isinstance(value, NAMESPACES)
        ):
            return [kind.__name__, self._config(value)]
        functions = self._methods(kind)
        return [
            kind.__qualname__,
            functions,
            self._selected(_attributes(value), or_all=dataclasses.is_dataclass(value)),
        ]

    def _methods(self, cls):
        """Without those that only fill an object: what it holds is compared."""
        return [self.value(f) for f in _functions(cls) if _name(f).split(".")[-1] not in OF_OBJECTS]

    def _config(self, value):
        """Of a regularizer, schedule or loss of Keras."""
        if isinstance(value, OF_KERAS) or not type(value).__module__.startswith("keras."):
            return None
        try:
            config = {**value.get_config(), **getattr(value, "_fn_kwargs", {})}
        except Exception:  # Not all that Keras has can be configured.
            return None
        return [[k, self.value(v)] for k, v in sorted(config.items()) if k not in ("name", "seed")]

    def _selected(self, named, or_all=False):
        keys = [k for k in named if self._all or not isinstance(k, str) or k in self.names]
        keys = keys or (list(named) if or_all else [])
        return [[str(k), self.value(named[k])] for k in sorted(keys, key=str)]

    def _function(self, function):
        code = function.__code__
        if self._all and function.__name__ not in OF_OBJECTS:
            self.names |= _names(code)
        cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
        read: list[Any] = [_content(cell) for name, cell in cells if name != "__class__"]
        read += [function.__defaults__, function.__kwdefaults__]
        globals_of = function.__globals__
        for name in sorted(_globals(code)):
            if name in globals_of and not name.startswith("__"):
                read.append(self._global(globals_of[name], _names(code)))
        return [_of_code(code, function.__doc__), [self.value(each) for each in read]]

    def _global(self, value, names):
        """A global, or of a module of the program what is read of it."""
        if not isinstance(value, types.ModuleType):
            return value
        if is_of_library(value) or id(value) in self._within:
            return None
        self._within[id(value)] = value
        members = vars(value)
        read = [members[n] for n in sorted(names) if n in members and not n.startswith("__")]
        return [self._global(each, names) for each in read]


def _of_array(value):
    """Values, but of what is trained."""
    if getattr(value, "requires_grad", False):
        return type(value).__name__
    try:
        array = np.asarray(keras.ops.convert_to_numpy(value))
    except Exception:  # A tensor of a graph has no value.
        return type(value).__name__
    if array.dtype.kind == "O":
        return ["objects", list(array.shape)]
    return array.item() if array.size == 1 else hashed(array.shape, array.tobytes())


def _inner(code) -> Iterable[Any]:
    return (c for c in code.co_consts if isinstance(c, types.CodeType))


def _names(code) -> set[str]:
    """Names of variables and attributes, and strings, which may be keys."""
    strings = {c for c in code.co_consts if isinstance(c, str)}
    own = {*code.co_names, *code.co_varnames, *code.co_freevars} | strings
    return own.union(*map(_names, _inner(code)))


def _globals(code) -> set[str]:
    kinds = ("LOAD_GLOBAL", "LOAD_NAME")
    own = {i.argval for i in dis.get_instructions(code) if i.opname in kinds}
    return own.union(*map(_globals, _inner(code)))


def _of_code(code, documentation=None):
    """What a code does. Where it stands in its file is left out, and its docstring."""
    constants = [_constant(c) for c in code.co_consts if c is None or c != documentation]
    return [code.co_code.hex(), code.co_names, constants]


def _constant(constant):
    if isinstance(constant, types.CodeType):
        return _of_code(constant)
    # The order of a set differs from run to run.
    return sorted(map(repr, constant)) if isinstance(constant, frozenset) else repr(constant)


def _content(cell):
    try:
        return cell.cell_contents
    except ValueError:
        return None

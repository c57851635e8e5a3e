"""What the functions and classes of a program do, as hashes. Those of libraries are left out."""

from __future__ import annotations

import hashlib
import inspect
import sys
import types
from collections.abc import Iterable
from typing import Any

PYTHON = f"Python {sys.version_info.major}.{sys.version_info.minor}"
"""Its bytecode is of this version."""
LIBRARIES = {"keras", "keras_zsharp", *sys.stdlib_module_names}


def is_of_library(value: Any) -> bool:
    """Whether a class or function is not of the program itself."""
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
    classes = value.__mro__ if isinstance(value, type) else ()
    members = [vars(cls) for cls in classes if not is_of_library(cls)]
    functions = [
        function
        for member in ([m for each in members for m in each.values()] if classes else [value])
        if (function := _function_of(member)) is not None and (classes or not is_of_library(value))
    ]
    hashes = {f.__qualname__.rpartition("<locals>.")[2]: hashed(_does(f, set())) for f in functions}
    return {f"code, {PYTHON}": hashes} if hashes else {}


def is_plain(value: Any) -> bool:
    """Whether a value is a number, a string or None."""
    return value is None or isinstance(value, bool | int | float | str)


def hashed(*values: Any) -> str:
    """A short hash of values by their `repr`."""
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


def _function_of(member):
    member = getattr(member, "fget", None) or getattr(member, "__func__", member)
    member = inspect.unwrap(member) if callable(member) else member
    return member if isinstance(member, types.FunctionType) else None


def _does(function, within):
    """Its code, and what it reads beside its arguments: numbers, and functions of the program."""
    if function in within:
        return None
    within.add(function)
    code = function.__code__
    cells = [*map(_content, function.__closure__ or ()), *(function.__defaults__ or ())]
    named = function.__globals__
    shared = [named[n] for n in sorted(_names(code)) if n in named]
    shared = [v for v in shared if not isinstance(v, str) and v is not None]
    read = [*cells, *shared]
    called = [
        _does(each, within)
        for each in read
        if isinstance(each, types.FunctionType) and not is_of_library(each)
    ]
    return [_of_code(code, function.__doc__), [v for v in read if is_plain(v)], called]


def _names(code) -> set[str]:
    inner: Iterable[Any] = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return {*code.co_names}.union(*map(_names, inner))


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

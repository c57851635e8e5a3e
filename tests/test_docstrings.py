"""Every public name is annotated and documented in full."""

import dataclasses
import inspect
import pkgutil
import re
import types

import pytest

import keras_zsharp

pytestmark = pytest.mark.project


DESCRIBED = re.compile(r"^(?:Args|Attributes):\n((?:    .*\n|\n)*)", re.MULTILINE)
"""The sections of a docstring that tell arguments."""


def public_modules():
    """The library, the modules that it exports, and its packages that say what they export."""
    found = {keras_zsharp}
    found |= {value for value in exported(keras_zsharp) if isinstance(value, types.ModuleType)}
    for module in pkgutil.iter_modules(keras_zsharp.__path__, "keras_zsharp."):
        if module.ispkg:
            found.add(__import__(module.name, fromlist=["*"]))
    return sorted((m for m in found if hasattr(m, "__all__")), key=lambda m: m.__name__)


def exported(module):
    return [getattr(module, name) for name in module.__all__]


def is_ours(value):
    return str(getattr(value, "__module__", "")).startswith("keras_zsharp")


def public_names():
    """Functions, classes, and what the classes and their bases define under public names."""
    named, found = [value for module in public_modules() for value in exported(module)], {}
    for value in named:
        if is_ours(value) and (inspect.isfunction(value) or inspect.isclass(value)):
            found[path(value)] = value, None
            for base in value.__mro__ if inspect.isclass(value) else ():
                members = vars(base).items() if is_ours(base) else ()
                found |= {path(m): (m, base) for name, m in members if is_public(name, m)}
    return {name: found[name] for name in sorted(found)}


def path(value):
    function = value if inspect.isclass(value) else function_of(value)
    return f"{function.__module__}.{function.__qualname__}"


def is_public(name, member):
    """Not of what is wrapped to look like a method of Keras."""
    is_callable = isinstance(member, property | classmethod | staticmethod | types.FunctionType)
    named = name == "__call__" or not name.startswith("_")
    return is_callable and named and is_ours(function_of(member))


def function_of(value):
    """The function whose signature tells the arguments: a class's is its constructor."""
    if isinstance(value, property):
        return value.fget
    if isinstance(value, classmethod | staticmethod):
        return value.__func__
    return value.__init__ if inspect.isclass(value) else value


def arguments(value):
    called = value if is_record(value) else function_of(value)
    parameters = inspect.signature(called).parameters.values()
    bound = not isinstance(value, staticmethod)
    return [p for i, p in enumerate(parameters) if i or not bound or p.name not in ("self", "cls")]


def is_record(value):
    return dataclasses.is_dataclass(value) or hasattr(value, "_fields")


def own_doc(value):
    """The docstring as written: None for a method that has that of the class it overrides."""
    documented = value.__doc__ if isinstance(value, property) else inspect.unwrap(value).__doc__
    return None if documented is None else inspect.cleandoc(documented)


NAMES = public_names()


def test_annotated_in_full():
    """Of a dataclass or a named tuple, Python makes the constructor from annotated fields."""
    missing = {}
    for name, (value, _) in NAMES.items():
        function = function_of(value)
        if is_record(value) or not is_ours(function):  # A class may inherit Python's constructor.
            continue
        missing[name] = [p.name for p in arguments(value) if p.annotation is p.empty]
        if inspect.signature(function).return_annotation is inspect.Signature.empty:
            missing[name].append("return")
    assert len(missing) > 100
    assert {name: of_it for name, of_it in missing.items() if of_it} == {}


def test_documented():
    """A method may have the docstring of the one that it overrides."""

    def documented(value, owner):
        bases = [] if owner is None else owner.__mro__
        overridden = [getattr(base, function_of(value).__name__, None) for base in bases]
        return own_doc(value) or any(inspect.getdoc(method) for method in overridden)

    assert [name for name, (value, owner) in NAMES.items() if not documented(value, owner)] == []


def test_every_argument_is_in_args():
    """Also of a method that has a docstring of its own."""
    missing = {}
    for name, (value, _) in NAMES.items():
        doc = own_doc(value)
        if doc is None or isinstance(value, property):
            continue
        if inspect.isclass(value) and not is_ours(function_of(value)) and not is_record(value):
            continue
        described = "".join(
            re.findall(r"^(?:Args|Attributes):\n((?:    .*\n|\n)*)", f"{doc}\n", re.M)
        )
        starts = re.findall(r"^    ([\w*, ]+):", described, re.MULTILINE)
        named = {name.strip(" *") for start in starts for name in start.split(",")}
        missing[name] = {p.name for p in arguments(value)} - named
    assert len(missing) > 100
    assert {name: of_it for name, of_it in missing.items() if of_it} == {}


def test_all_exported_modules_are_walked():
    exports = [value for value in exported(keras_zsharp) if isinstance(value, types.ModuleType)]
    assert len(exports) > 5
    assert [module for module in exports if module not in public_modules()] == []

"""Every public name is annotated in full, and its docstring is ordered as all others are."""

import dataclasses
import inspect
import pkgutil
import re
import types

import pytest

import keras_zsharp

pytestmark = pytest.mark.project

SECTIONS = ["Args", "Attributes", "Returns", "Raises", "Example", "Reference"]
HEADING = re.compile(r"^(\w+):(?: .*)?$", re.MULTILINE)
SYNONYMS = {"Arguments", "Examples", "Note", "Notes", "References", "Source", "Sources", "Yields"}


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
    return [pytest.param(*found[name], id=name) for name in sorted(found)]


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


def sections(doc):
    """The sections of a docstring in their order, each with its text."""
    found = [match for match in HEADING.finditer(doc) if match[1] in {*SECTIONS, *SYNONYMS}]
    ends = [*(match.start() for match in found), len(doc)][1:]
    return [(match[1], doc[match.start() : end]) for match, end in zip(found, ends, strict=True)]


every_name = pytest.mark.parametrize(("value", "owner"), public_names())


@every_name
def test_annotated_in_full(value, owner):
    """Of a dataclass or a named tuple, Python makes the constructor from annotated fields."""
    function = function_of(value)
    if is_record(value) or not is_ours(function):  # A class may inherit Python's constructor.
        return
    missing = [p.name for p in arguments(value) if p.annotation is p.empty]
    if inspect.signature(function).return_annotation is inspect.Signature.empty:
        missing.append("return")
    assert missing == []


@every_name
def test_documented(value, owner):
    """A method may have the docstring of the one that it overrides."""
    bases = [] if owner is None else owner.__mro__
    overridden = [getattr(base, function_of(value).__name__, None) for base in bases]
    assert own_doc(value) or any(inspect.getdoc(method) for method in overridden)


@every_name
def test_every_argument_is_in_args(value, owner):
    """Also of a method that has a docstring of its own."""
    doc = own_doc(value)
    if doc is None or isinstance(value, property):
        return
    if inspect.isclass(value) and not is_ours(function_of(value)) and not is_record(value):
        return
    described = "".join(text for name, text in sections(doc) if name in ("Args", "Attributes"))
    starts = re.findall(r"^    ([\w*, ]+):", described, re.MULTILINE)
    named = {name.strip(" *") for start in starts for name in start.split(",")}
    assert {p.name for p in arguments(value)} - named == set()


@every_name
def test_sections_come_in_order(value, owner):
    doc = own_doc(value) or ""
    found = [name for name, _ in sections(doc)]
    assert found == [name for name in SECTIONS if name in found]
    assert ">>>" not in doc or "Example" in found
    assert not doc.startswith(tuple(f"{name}:" for name in SECTIONS))


def test_all_exported_modules_are_walked():
    exports = [value for value in exported(keras_zsharp) if isinstance(value, types.ModuleType)]
    assert len(exports) > 5
    assert [module for module in exports if module not in public_modules()] == []

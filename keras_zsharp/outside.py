"""The state of a model that is in no Keras variable: in attributes, buffers and generators."""

from __future__ import annotations

import collections
import functools
import itertools
import operator
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

import keras

from keras_zsharp import copies
from keras_zsharp.interrupts import PutBack
from keras_zsharp.keras_internals.tracking import flat_layers, names_of_keras, rule_of
from keras_zsharp.ops import is_traced

_LIBRARIES = {*sys.stdlib_module_names, "keras", "keras_cv", "keras_hub", "keras_zsharp"}
_LIBRARIES |= {"flax", "jax", "jaxlib", "ml_dtypes", "numpy", "tensorflow", "torch"}
_NAMESPACES = (types.SimpleNamespace, collections.UserDict, collections.UserList)
_CONTAINERS: tuple[Any, ...] = (collections.OrderedDict, dict, list, set, collections.deque)
_BUFFERS = ("_buffers", "_parameters")


class Outside:
    """A copy of what the layers of a model and its losses keep outside of Keras variables.

    Both passes of a step must find what was there before the step. What the clean pass makes of it
    is what plain Keras would leave. Objects, containers, arrays and tensors keep their identity.
    Copied is what attributes reach. What only classes, the closures of functions and the global
    variables of modules reach is not.

    Args:
        model: A model. The rule of a sharpness-aware one is left out.
        gradients: Whether what has accumulated in the `.grad` of tensors is copied, too.
    """

    def __init__(self, model: Any, gradients: bool = True) -> None:
        self._gradients = gradients
        self._restore: list[Callable[[], None]] = []
        rule = rule_of(model)
        self._seen = set() if rule is None else set(map(id, flat_layers(rule)))
        for layer in flat_layers(model):
            if id(layer) not in self._seen:
                self._seen.add(id(layer))
                self._layer(layer)
        self._values([getattr(model, "loss", None)])

    def put_back(self) -> None:
        """Restores what has changed since then."""
        for restore in self._restore:
            restore()

    def put_back_unless(self, finite: Any) -> None:
        """Restores what has changed in a step that is skipped. While it is traced, none is."""
        if not is_traced(finite) and not finite:
            self.put_back()

    def _values(self, values):
        if _STILL.issuperset(map(type, values)):
            return
        for value in values:
            kind = None if type(value) in _STILL else _kind(type(value))
            if kind is not None and id(value) not in self._seen:
                self._seen.add(id(value))
                kind(self, value)

    def _layer(self, layer):
        attributes = vars(layer)
        self._values([attributes[name] for name in _BUFFERS if attributes.get(name)])
        self._namespace(attributes, names_of_keras())

    def _object(self, value):
        for name in itertools.chain.from_iterable(map(_slots, type(value).__mro__)):
            self._slot(value, name)
        if hasattr(value, "__dict__"):
            self._namespace(vars(value))

    def _partial(self, function):
        self._values([function.func, *function.args, *function.keywords.values()])

    def _method(self, method):
        self._values([method.__self__, method.__func__])

    def _slot(self, value, name):
        """An attribute that has a place of its own, and may be empty."""
        saved = [getattr(value, name)] if hasattr(value, name) else []

        def restore():
            now = [getattr(value, name)] if hasattr(value, name) else []
            if saved and not (now and now[0] is saved[0]):
                object.__setattr__(value, name, saved[0])
            elif now and not saved:
                object.__delattr__(value, name)

        self._restore.append(restore)
        self._values(saved)

    def _namespace(self, attributes, ignored=frozenset()):
        saved = dict(attributes)

        def restore():
            values = map(operator.is_, attributes.values(), saved.values())
            if list(attributes) == list(saved) and all(values):
                return
            for name in attributes.keys() - ignored - saved.keys():
                del attributes[name]
            for name in saved.keys() - ignored:
                attributes[name] = saved[name]

        self._restore.append(restore)
        self._values([value for name, value in saved.items() if name not in ignored])

    def _container(self, container: Any) -> None:
        kind: Any = next(kind for kind in _CONTAINERS if isinstance(container, kind))
        items = container.items if issubclass(kind, dict) else container.copy
        values = container.values() if issubclass(kind, dict) else container
        add = kind.update if issubclass(kind, dict | set) else kind.extend
        saved = list(items())

        def restore():
            now = list(items())
            if len(now) != len(saved) or not all(map(_is, now, saved)):
                # By the method of the base: those of Keras' containers track what they are given.
                kind.clear(container)
                add(container, saved)

        self._restore.append(restore)
        self._values(values)

    def _copied(self, value):
        self._restore.append(copies.restoring(value, self._gradients))


def rewound(model: Any, before: Outside, afterwards: bool = True) -> PutBack:
    """Encloses a pass that starts from what was there before.

    Afterwards all is as it is now, or else only if the pass raises an error.
    """
    now = Outside(model, gradients=False)
    before.put_back()
    return PutBack(now.put_back, always=afterwards)


def put_back(model: Any, always: bool = True) -> PutBack:
    """Restores what the block changes, or else only if the block raises an error."""
    before = Outside(model)
    return PutBack(before.put_back, always, before)


_KINDS: weakref.WeakKeyDictionary[type, Any] = weakref.WeakKeyDictionary()
_STILL: set[type] = set()
"""The libraries' classes that have been met and have none of these methods: most are."""


def _kind(cls: type) -> Any:
    """The method of `Outside` that copies values of a class. None for those that never change."""
    if cls not in _KINDS:
        _KINDS[cls] = kind = _found_kind(cls)
        if kind is None and _of_library(cls):
            _STILL.add(cls)
    return _KINDS[cls]


def _found_kind(cls):
    for classes, method in _BY_CLASS.items():
        if issubclass(cls, classes):
            return method
    if issubclass(cls, copies.kinds()):
        return Outside._copied
    if issubclass(cls, keras.Variable | type):
        return None
    if issubclass(cls, keras.Layer):
        return Outside._layer
    # Modules of PyTorch.
    is_module = any(base.__module__ == "torch.nn.modules.module" for base in cls.__mro__)
    return Outside._object if is_module or not _of_library(cls) else None


_BY_CLASS: dict[Any, Any] = {
    _CONTAINERS: Outside._container,
    (tuple, frozenset): Outside._values,
    _NAMESPACES: Outside._object,
    types.MethodType: Outside._method,
    functools.partial: Outside._partial,
}


def _of_library(thing):
    return (thing.__module__ or "").partition(".")[0] in _LIBRARIES


def _slots(cls):
    slots = vars(cls).get("__slots__", ())
    return [
        f"_{cls.__name__.lstrip('_')}{name}"
        if name.startswith("__") and not name.endswith("__")
        else name
        for name in ((slots,) if isinstance(slots, str) else slots)
        if name not in ("__dict__", "__weakref__")
    ]


def _is(one, other):
    """Whether two elements, or pairs of key and value, are the same objects."""
    if isinstance(one, tuple) and len(one) == 2 and isinstance(other, tuple) and len(other) == 2:
        return one[0] is other[0] and one[1] is other[1]
    return one is other

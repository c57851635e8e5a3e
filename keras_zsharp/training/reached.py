"""Which methods of a model plain Keras reaches and ours does not: small models of both tell it.

So a method that a class overrides is called, or refused, whatever the next Keras calls.
"""

from __future__ import annotations

import concurrent.futures
import functools
import inspect
from collections.abc import Callable, Collection, Iterable
from typing import Any

import keras
import numpy as np

from keras_zsharp.backend import surroundings

Subclass = Callable[[type], type]
"""Makes a subclass of a model's class, which notes the methods that are called."""
Way = Callable[[Subclass, Any], keras.Model]
"""Makes a model to train in one way, of the mixin or the wrapper."""


class _Net(keras.Model):
    """It draws no noise. It has losses of each kind, for which Keras' step asks a model."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(
            1, kernel_initializer="zeros", kernel_regularizer="l2", activity_regularizer="l2"
        )

    def call(self, inputs):
        return self.dense(inputs)


def _plain(noting, _):
    return noting(_Net)()


def _in_front(noting, mixin):
    """What a class with the mixin overrides."""
    return noting(type("Net", (mixin, _Net), {}))(rule="sam")


def _behind(noting, mixin):
    """What the classes override that the mixin comes before: in place, all."""
    return type("Net", (mixin, noting(_Net)), {})(rule="sam")


def inside(noting: Subclass, wrapper: Any) -> keras.Model:
    """A wrapper. Only the methods of the model inside are noted."""
    return wrapper(noting(_Net)(), "sam")


def check(cls: type, mixin: type) -> None:
    """Checks that ours reaches what plain Keras reaches of the methods that a class overrides.

    Args:
        cls: The class of a sharpness-aware model.
        mixin: `SharpnessAwareTraining`.

    Raises:
        TypeError: It does not reach one: the override would be dropped without a word.
    """
    classes = cls.__mro__
    place = classes.index(mixin)
    for way, some in ((_in_front, classes[:place]), (_behind, classes[place:])):
        names = missed(way, mixin, some)
        if names:
            raise TypeError(
                f"`{cls.__name__}` must not override `{names[0]}`: Keras {keras.__version__} calls "
                "it while it trains, evaluates or predicts, and the two-pass step does not. "
                "Override `call`, `compute_loss` or `compute_metrics` instead. "
                f"Received: the overridden methods {names}"
            )


def missed(way: Way, ours: Any, classes: Iterable[type]) -> list[str]:
    """The methods that classes override and plain Keras reaches, but not a model of ours.

    Args:
        way: Makes the model of ours.
        ours: What it makes it of.
        classes: Classes of a model.
    """
    names = overridden(classes, _names())
    if not names:
        return []
    by_plain_alone = _reached(_plain, None) - _reached(way, ours)
    return sorted(names & {name for _, name in by_plain_alone})


def overridden(classes: Iterable[type], names: Collection[str]) -> set[str]:
    """The names among `names` that classes define which are neither Keras' nor this library's."""
    return {
        name
        for cls in set(classes).difference(keras.Model.__mro__)
        if cls.__module__.split(".")[0] not in ("keras", "keras_zsharp")
        for name in vars(cls).keys() & names
    }


@functools.cache
def _names():
    """The names of a model's methods, without those that a layer overrides as `Dense` does.

    Keras reaches these by calling the layer. Most classes override no others.
    """
    return frozenset(_methods(keras.Model)).difference(vars(keras.layers.Dense))


@functools.cache
def _reached(way, ours):
    # A thread of its own has no open graph, scope or strategy, and its own counts for names.
    generators = surroundings.generators()
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            return thread.submit(_watched, way, ours).result()
    finally:
        # PyTorch's loaders draw a number when they start.
        surroundings.set_generators(generators)


def _watched(way, ours):
    """Pairs of what a model does, such as `fit`, and a method that is reached."""
    called: set[str] = set()
    model = way(functools.partial(_noting, called), ours)
    constructed, reached = set(called), set()
    with surroundings.alone():
        for name, arguments in _CALLS.items():
            called.clear()
            getattr(model, name)(**arguments)
            reached |= {(name, each) for each in called | constructed}
    return reached


_X = np.zeros((2, 1), "float32")
_DATA = {"x": _X, "y": _X}
_CALLS = {
    "compile": {"optimizer": "sgd", "loss": "mse", "metrics": ["mae"], "run_eagerly": True},
    "fit": {**_DATA, "validation_data": (_X, _X), "shuffle": False, "verbose": 0},
    "train_on_batch": _DATA,
    "evaluate": {**_DATA, "verbose": 0},
    "predict": {"x": _X, "verbose": 0},
}


def _noting(called, cls):
    """A subclass whose methods and properties note their names in `called`."""

    def noting(name, method):
        @functools.wraps(method)
        def noted(self, *args, **kwargs):
            called.add(name)
            return method(self, *args, **kwargs)

        return noted

    attributes = {}
    for name, method in _methods(cls).items():
        if isinstance(method, property):
            attributes[name] = property(noting(name, method.fget), method.fset, method.fdel)
        else:
            attributes[name] = noting(name, method)
    return type(cls.__name__, (cls,), attributes)


def _methods(cls):
    """The methods and properties of a class, by name."""
    found = {name: inspect.getattr_static(cls, name) for name in dir(cls)}
    return {
        name: value
        for name, value in found.items()
        if (inspect.isfunction(value) or isinstance(value, property))
        and (not name.startswith("__") or name == "__call__")
    }

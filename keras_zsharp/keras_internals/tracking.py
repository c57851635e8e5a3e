"""How Keras keeps account of what a model is made of: layers, variables, metrics, attributes."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras

from keras_zsharp.backend import NAME
from keras_zsharp.keras_internals import names

if TYPE_CHECKING:
    MixinOfAModel = keras.Model
else:
    MixinOfAModel = object
"""The base of a mixin whose methods use those of the `keras.Model` that has it."""


def replace_layer(model: Any, old: keras.Layer, new: keras.Layer) -> None:
    """Makes `model` track the layer `new` instead of `old`. The model may be built."""
    model._tracker.replace_tracked_value("layers", old, new)


@contextlib.contextmanager
def unlocked(model: Any) -> Iterator[None]:
    """Lets a built model track more layers and metrics."""
    tracker = model._tracker
    locked, tracker.locked = tracker.locked, False
    try:
        yield
    finally:
        tracker.locked = locked


def attributes_of(model: Any) -> dict[str, Any]:
    """A model's attributes by name. On PyTorch, its `vars` lack the layers."""
    return {**vars(model), **vars(model).get("_modules", {})}


def rule_of(model: Any) -> Any:
    """The rule of a sharpness-aware model. None of a plain one, whose `rule` is its own."""
    attributes = attributes_of(model)
    return attributes.get("rule") if "step_options" in attributes else None


def remove_attribute(model: Any, name: str) -> None:
    """Removes an attribute, and makes Keras forget it."""
    model._tracker.untrack(attributes_of(model)[name])
    modules = vars(model).get("_modules", {})
    if name in modules:
        del modules[name]
    else:
        object.__delattr__(model, name)


def is_built(model: keras.Model) -> bool:
    """Whether every layer of `model` has its variables."""
    return all(layer.built for layer in flat_layers(model))


def is_distributed(model: Any) -> bool:
    """Whether `model` was constructed under a distribution strategy."""
    return model._distribute_strategy is not None


@contextlib.contextmanager
def variables_of(model: Any) -> Iterator[None]:
    """Encloses making variables that belong to `model`: its replicas share them.

    A variable made outside of the scope of a strategy is a single one, which all replicas assign,
    each its own value.
    """
    strategy = getattr(model, "_distribute_strategy", None)
    if strategy is None:
        yield
        return
    import tensorflow as tf

    with contextlib.nullcontext() if tf.distribute.has_strategy() else strategy.scope():
        yield


NORMALIZATIONS = names.some(
    (
        kind
        for kind in vars(keras.layers).values()
        if getattr(kind, "__module__", "").startswith("keras.src.layers.normalization.")
        and not issubclass(kind, keras.layers.Wrapper)
    ),
    "normalization layers",
)
"""Keras' own normalization layers. A wrapper normalizes the weights of another layer."""


@functools.cache
def set_in_training() -> set[str]:
    """The names of the attributes that `compile` and `fit` set."""
    model = keras.Model(name="keras")
    model.compile("sgd", "mse")
    return {"history", *vars(model)}


@functools.cache
def names_of_keras() -> frozenset[str]:
    """The names of the attributes in which Keras keeps its books of layers and models.

    The first call makes variables: it must not come from a step that is traced.
    """
    kinds = keras.layers.Layer, keras.Model, keras.Sequential
    made = [vars(kind(name="keras")) for kind in kinds]
    return frozenset(set_in_training().union(*made))


def training_methods() -> set[str]:
    """The names of the methods that train, evaluate and compile a `keras.Model`.

    They include the properties that those methods read, which list weights and losses.
    """
    bases = (base for base in keras.Model.__mro__ if "trainer" in base.__module__)
    trainers = names.some(bases, "trainer among the bases of keras.Model")
    found = {name for base in trainers for name in vars(base) if not name.startswith("__")}
    read = re.compile("losses|.*(variables|weights)")
    for base in keras.Model.__mro__:
        properties = {name for name, value in vars(base).items() if isinstance(value, property)}
        found |= set(filter(read.fullmatch, properties))
    return found


def flat_layers(model: Any) -> list[keras.Layer]:
    """The model, its layers, their layers, and so on."""
    return list(model._flatten_layers())


def is_own(thing: Any) -> bool:
    """Whether a function, or the class of an object, is Keras' own."""
    module = getattr(thing, "__module__", None) or type(thing).__module__
    return module.split(".")[0] == "keras"


def state_of_own_layers(model: Any) -> list[Any]:
    """The variables that Keras' own layers have."""
    normalization = (keras.layers.BatchNormalization, keras.layers.SpectralNormalization)
    return [
        variable
        for layer in flat_layers(model)
        if is_own(layer) or isinstance(layer, normalization)
        for variable in (*layer._trainable_variables, *layer._non_trainable_variables)
    ]


def own_variables(layer: Any) -> list[Any]:
    """The trainable variables of a layer, without those of the layers in it."""
    return list(layer._trainable_variables)


def seeds(model: Any) -> list[Any]:
    """The states of the seed generators of a model and of its layers."""
    return [seed.state for layer in flat_layers(model) for seed in layer._seed_generators]


def own_metrics(model: Any) -> list[keras.Metric]:
    """The metrics among a model's attributes, which plain Keras logs."""
    return list(model._metrics)


def trained(model: keras.Model) -> list[Any]:
    """The variables that plain Keras' step trains."""
    on_jax = NAME == "jax"
    return model.trainable_variables if on_jax else model.trainable_weights


def built_otherwise(layer: keras.Layer) -> None:
    """Lets the `build` of a layer take other things than shapes, which Keras would record."""
    layer.__dict__.pop("build", None)

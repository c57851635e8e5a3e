"""Saving random seeds. Keras does not save them, and dropout would start over."""

from __future__ import annotations

import warnings
from typing import Any

import keras

from keras_zsharp.backend import surroundings
from keras_zsharp.keras_internals import tracking
from keras_zsharp.rules.state import SEED

GENERATOR = f"{SEED}generator_"


def save(model: Any, store: Any) -> None:
    """Saves the state of the model's seed generators beside its rule.

    The rule's own seed generators belong to the rule's state.
    """
    for i, seed in enumerate(of(model)):
        store[f"{SEED}{i}"] = keras.ops.convert_to_numpy(seed)
    for name, generator in surroundings.generators().items():
        store[f"{GENERATOR}{name}"] = generator


def load(model: Any, store: Any) -> None:
    """Assigns the seeds that `save` has saved. If an older file has none, the seeds stay."""
    names = _names(store)
    saved_as = [name for name in names if name.startswith(GENERATOR)]
    surroundings.set_generators({name.removeprefix(GENERATOR): store[name] for name in saved_as})
    seeds, saved = of(model), sum(_is_seed(name) for name in names)
    if not saved:
        return
    if saved != len(seeds):
        warnings.warn(
            f"The file holds the state of {saved} random seeds, `{model.name}` has "
            f"{len(seeds)}: they are not restored, dropout and augmentation draw anew.",
            stacklevel=2,
        )
        return
    for i, seed in enumerate(seeds):
        seed.assign(store[f"{SEED}{i}"])


def of(model: Any) -> list[Any]:
    """The states of the seed generators of a model, but for its rule's. It may be a plain one."""
    rule = tracking.rule_of(model)
    seeds = {id(seed) for seed in tracking.seeds(model)}
    seeds -= {id(v) for v in (rule.variables if rule else ())}
    return [v for v in model.variables if id(v) in seeds]


def _is_seed(name):
    return name.startswith(SEED) and not name.startswith(GENERATOR)


def _names(store):
    # Keras' store has keys, but cannot be iterated over.
    return list(store.keys())

"""Saving random seeds. Keras does not save them, and dropout would start over."""

from __future__ import annotations

import warnings
from typing import Any

import keras

from keras_zsharp import keras_internals
from keras_zsharp.perturbations.state import SEED
from keras_zsharp.training import backends

GENERATOR = f"{SEED}generator_"


def save(model: Any, store: Any) -> None:
    """Saves the state of the model's seed generators beside its rule.

    The rule's own seed generators belong to the rule's state.
    """
    for i, seed in enumerate(_seeds(model)):
        store[f"{SEED}{i}"] = keras.ops.convert_to_numpy(seed)
    for i, generator in enumerate(backends.generators()):
        store[f"{GENERATOR}{i}"] = generator


def load(model: Any, store: Any) -> None:
    """Assigns the seeds that `save` has saved. If an older file has none, the seeds stay."""
    names = _names(store)
    backends.set_generators([store[n] for n in sorted(names) if n.startswith(GENERATOR)])
    seeds, saved = _seeds(model), sum(_is_seed(name) for name in names)
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
    """The variables of all seed generators of a model, sharpness-aware or plain."""
    rule = getattr(model, "perturbation", None)
    known = (*model.weights, *model.metrics_variables, *(rule.weights if rule else ()))
    ids = {id(v) for v in known}
    return [v for v in model.variables if id(v) not in ids]


def _seeds(model):
    seeds = {id(seed) for seed in keras_internals.seeds(model)}
    seeds -= set(map(id, model.perturbation.variables))
    return [v for v in model.variables if id(v) in seeds]


def _is_seed(name):
    return name.startswith(SEED) and not name.startswith(GENERATOR)


def _names(store):
    # Keras' store has keys, but cannot be iterated over.
    return list(store.keys())

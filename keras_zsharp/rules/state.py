"""Saving and loading a rule's variables. Their names in a file begin with the rule's class."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from keras_zsharp.keras_internals import saving

SEED = "seed_"
"""The beginning of the names under which a model saves its random seeds beside the rule."""


def save(rule: keras.Layer, store: Any) -> None:
    """Saves the variables of a rule."""
    for name, variable in _named(rule).items():
        store[name] = keras.ops.convert_to_numpy(variable)


def load(rule: keras.Layer, store: Any) -> None:
    """Assigns the state that a rule of the same class with the same variables has saved.

    Otherwise the rule keeps its own state. It warns, unless the file is that of a plain network.
    """
    own = _named(rule)
    found = _without_count(rule, {name: store[name] for name in _names(store)})
    if _shapes(found) == _shapes(own):
        for name, variable in own.items():
            variable.assign(_as_decimal(found[name], variable.dtype))
    elif found:
        classes = {name.partition(".")[0] if "." in name else "an old file" for name in found}
        warnings.warn(
            f"The file holds {len(found)} variables of {', '.join(sorted(classes))}, which are not "
            f"those of {rule.name!r}, a {type(rule).__name__} with {len(own)}: it keeps its own.",
            stacklevel=2,
        )


def saved(rule: keras.Layer, store: Any) -> list[np.ndarray]:
    """The arrays that a rule of the same class has saved, in the order of its variables."""
    prefix = f"{type(rule).__name__}."
    arrays = {name: store[name] for name in _names(store) if name.startswith(prefix)}
    arrays = _without_count(rule, arrays)
    return [arrays[name] for name in sorted(arrays, key=_place)]


def opened(store: Any) -> Any:
    """The store of a rule. Files of version 0.2.0 have the rule of a model as `perturbation`."""
    return saving.in_an_older_file(store, "perturbation")


def _without_count(rule, arrays):
    """Without the steps that rules of version 0.2 counted: those are the optimizer's now."""
    ours = any(variable.name == "count" for variable in rule.variables)
    if ours or not any(name.endswith(".count") for name in arrays):
        return arrays
    kept = sorted((name for name in arrays if not name.endswith(".count")), key=_place)
    parts = [(name, name.split(".")) for name in kept]
    return {f"{own[0]}.{i}.{own[-1]}": arrays[name] for i, (name, own) in enumerate(parts)}


def _place(name):
    return int(name.split(".")[1])


def _as_decimal(array, dtype):
    """A number that a backend without float64 has saved: 0.9, not 0.8999999761581421."""
    narrow = array.dtype == "float32" and dtype == "float64" and not array.shape
    return float(str(array[()])) if narrow else array


def _names(store):
    # Keras' store has keys, but cannot be iterated over.
    return [name for name in list(store.keys()) if not name.startswith(SEED)]


def _named(rule):
    variables = enumerate(rule.variables)
    return {f"{type(rule).__name__}.{i}.{variable.name}": variable for i, variable in variables}


def _shapes(arrays):
    return {name: tuple(array.shape) for name, array in arrays.items()}

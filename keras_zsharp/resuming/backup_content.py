"""What is in the file of a backup: that of `save_weights`, and what a run remembers beside it."""

from __future__ import annotations

import json
import math
from typing import Any

import h5py
import keras
import numpy as np

from keras_zsharp.keras_internals import tracking
from keras_zsharp.typing import Path

GROUP = "keras_zsharp_backup"


def most_bytes(model: Any, arrays: list[np.ndarray]) -> int:
    """What a file has at most: the values, and for each its name, place and shape.

    Args:
        model: The model.
        arrays: Arrays beside its own.
    """
    variables = _variables(model)
    own = sum(math.prod(v.shape) * (8 if "64" in str(v.dtype) else 4) for v in variables)
    beside = sum(array.nbytes for array in arrays)
    return own + beside + 8192 * (len(variables) + len(arrays) + 8)


def write(path: Path, model: Any, state: dict[str, Any], arrays: list[np.ndarray]) -> None:
    """Writes a file.

    Args:
        path: The path.
        model: The model.
        state: JSON.
        arrays: Arrays that the JSON names by their place.
    """
    model.save_weights(path, overwrite=True)
    with h5py.File(path, "a") as file:
        group: Any = file.create_group(GROUP)
        group["state"] = np.frombuffer(json.dumps(state).encode(), "uint8")
        for number, array in enumerate(arrays):
            group[str(number)] = array


def read(path: Path) -> tuple[Any, list[np.ndarray]]:
    """The JSON of a file and the arrays. An earlier version wrote none: the JSON is None.

    Args:
        path: The path.
    """
    with h5py.File(path) as file:
        group: Any = file.get(GROUP)
        if group is None:
            return None, []
        state = json.loads(group["state"][()].tobytes())
        return state, [group[str(number)][()] for number in range(len(group) - 1)]


def epochs_of(path: Path) -> int | None:
    """The number of epochs that a file holds, or None."""
    return (read(path)[0] or {}).get("epochs")


def is_finite(model: Any) -> bool:
    """Whether all that a model, its rule and its optimizer have are finite numbers."""
    floats = [v for v in _variables(model) if "float" in str(v.dtype)]
    return all(np.isfinite(keras.ops.convert_to_numpy(v)).all() for v in floats)


def _variables(model):
    rule = tracking.rule_of(model)
    return [*model.weights, *(rule.variables if rule else ()), *model.optimizer.variables]

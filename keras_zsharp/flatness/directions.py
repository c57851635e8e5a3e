from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from keras_zsharp.flatness.objective import MeanLoss


def plane(
    mean: MeanLoss, directions: Sequence[Sequence[np.ndarray]] | None, seed: int
) -> list[np.ndarray]:
    """The two directions of a plane through the weights, as vectors.

    They are those given. Where `directions` is None, they are random, with the filters' lengths.
    """
    weights = [keras.ops.convert_to_numpy(v) for v in mean.variables]
    if directions is None:
        rng = np.random.default_rng(seed)
        return [mean.flat([_like(w, rng) for w in weights]) for _ in range(2)]
    shapes = [w.shape for w in weights]
    received = [[np.shape(array) for array in direction] for direction in directions]
    if received != [shapes, shapes]:
        raise ValueError(
            f"`directions` must be two lists of arrays of the shapes {shapes}. "
            f"Received: directions of the shapes {received}"
        )
    return [mean.flat(direction) for direction in directions]


def _like(weight, rng):
    """A random direction whose filters are as long as those of `weight`."""
    direction = rng.normal(size=weight.shape)
    if weight.ndim < 2:
        return np.zeros(weight.shape)
    axes = tuple(range(weight.ndim - 1))
    lengths = [np.sqrt(np.square(x, dtype="float64").sum(axes)) for x in (weight, direction)]
    return direction * (lengths[0] / lengths[1])

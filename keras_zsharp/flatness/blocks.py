"""Blocks of the Hessian: its rows and columns that belong to one layer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container
from typing import Literal, TypeAlias, TypeVar

import numpy as np

from keras_zsharp.flatness.objective import MeanLoss
from keras_zsharp.keras_internals import tracking

By: TypeAlias = Literal["layer"]
Found = TypeVar("Found")


class Block:
    """The block of the Hessian of some variables. It has what a measure reads of a `MeanLoss`.

    Args:
        mean: The loss.
        chosen: The positions in `mean.variables` of the block's variables, ascending.

    Attributes:
        size: The number of weights in the block, n.
        places: int array of shape (n,): where these weights are in a vector of all weights.
    """

    def __init__(self, mean: MeanLoss, chosen: list[int]) -> None:
        self._mean, self._chosen = mean, chosen
        places = mean.shaped(np.arange(mean.size))
        self.places = np.concatenate([places[i].ravel() for i in chosen])
        self.size = len(self.places)

    def product(self, vector: np.ndarray) -> np.ndarray:
        """The block times a vector of shape (n,): that of H times the vector with zeros around."""
        return self._mean.product(self._among_all(vector))[self.places]

    def shaped(self, vector: np.ndarray) -> list[np.ndarray]:
        """Arrays shaped like the block's variables, of a vector of shape (n,)."""
        arrays = self._mean.shaped(self._among_all(vector))
        return [arrays[i] for i in self._chosen]

    def _among_all(self, vector):
        whole = np.zeros(self._mean.size)
        whole[self.places] = vector
        return whole


def of_layers(mean: MeanLoss) -> dict[str, Block]:
    """The blocks of the layers that have trainable variables of their own, in their order.

    Each variable is in one block: that of the layer that made it, inside nested models and other
    layers too. A variable that no layer has is the model's.
    """
    owners = {
        id(variable): layer
        for layer in reversed(tracking.flat_layers(mean.model))
        for variable in tracking.own_variables(layer)
    }
    chosen, layers = {}, {}
    for i, variable in enumerate(mean.variables):
        layer = owners.get(id(variable), mean.model)
        layers[id(layer)] = layer
        chosen.setdefault(id(layer), []).append(i)
    blocks: dict[str, Block] = {}
    for key, positions in chosen.items():
        path = layers[key].path or layers[key].name
        blocks[_free(path, blocks)] = Block(mean, positions)
    return blocks


def measured(
    mean: MeanLoss, by: By | None, measure: Callable[[MeanLoss | Block], Found]
) -> Found | dict[str, Found]:
    """What `measure` finds in the whole Hessian, or by the path of a layer in its block."""
    if by is None:
        return measure(mean)
    return {path: measure(block) for path, block in of_layers(mean).items()}


def _free(path: str, taken: Container[str]) -> str:
    """`path`, or with a number at its end: layers of two nested models may be named the same."""
    numbered = (f"{path}_{i}" for i in itertools.count(1))
    return next(each for each in itertools.chain([path], numbered) if each not in taken)

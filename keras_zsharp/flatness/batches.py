"""The data that a loss is measured on, as batches."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np

from keras_zsharp.backend import NAME
from keras_zsharp.flatness.adapted import AdaptedBatches, Spec, as_numpy, dtype_of, without_none
from keras_zsharp.flatness.checks import checked
from keras_zsharp.keras_internals import fitting
from keras_zsharp.typing import Batch, Data, Nested, Tensor


class ArrayBatches:
    """Batches of a tuple of (nested) arrays, in order. Each batch is a list of arrays.

    Attributes:
        structure: The structure that such a list packs into.
        specs: An object with `.shape` and `.dtype` for each array of a batch.
        infinite: Whether the batches have no end.
        arrays: The arrays that the batches are slices of, a list.
        batch_size: Examples in a batch.
    """

    infinite = False

    def __init__(self, structure: Nested, batch_size: int) -> None:
        self.structure, self.batch_size = structure, batch_size
        self.arrays = [_sliceable(leaf) for leaf in keras.tree.flatten(structure)]
        self.specs = [Spec((None, *array.shape[1:]), dtype_of(array)) for array in self.arrays]

    def __iter__(self) -> Iterator[list[np.ndarray]]:
        for start in range(0, self.arrays[0].shape[0], self.batch_size):
            yield [as_numpy(array[start : start + self.batch_size]) for array in self.arrays]

    def take(self, number: int) -> ArrayBatches:
        """The first `number` batches."""
        return self.picked(slice(number * self.batch_size))

    def picked(self, examples: Any) -> ArrayBatches:
        """Batches of the examples at an index of NumPy: some of them, or in another order."""
        arrays = [array[examples] for array in self.arrays]
        picked = keras.tree.pack_sequence_as(self.structure, arrays)
        return ArrayBatches(picked, self.batch_size)


class DatasetBatches:
    """Batches of a `tf.data.Dataset`: tensors on Keras' TensorFlow backend, else NumPy arrays.

    Attributes:
        dataset: The dataset.
        structure, specs, infinite: As in `ArrayBatches`.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset, self.structure = dataset, dataset.element_spec
        self.specs = keras.tree.flatten(self.structure)
        self.infinite = int(dataset.cardinality()) == -1  # tf.data.INFINITE_CARDINALITY

    def __iter__(self) -> Iterator[list[Tensor]]:
        as_tensors = NAME == "tensorflow"
        for batch in self.dataset:
            leaves = keras.tree.flatten(batch)
            yield leaves if as_tensors else [leaf.numpy() for leaf in leaves]

    def take(self, number: int) -> DatasetBatches:
        """The first `number` batches."""
        return DatasetBatches(self.dataset.take(number))


Batches: TypeAlias = ArrayBatches | DatasetBatches | AdaptedBatches


def finite(data: Data, batch_size: int, batches: int | None) -> Batches:
    """Batches of `data`, which must have an end.

    Args:
        data: What `fit` takes as `x`, or a tuple `(x, y[, sample_weight])` of (nested) arrays.
        batch_size: Examples in a batch of arrays: int >= 1.
        batches: Number of batches, the first ones: int >= 1. None takes all.
    """
    batch_size, batches = checked(batch_size=batch_size, batches=batches)
    if isinstance(data, AdaptedBatches):
        return data
    data = as_tuple(data)
    if _is_adapted(data):
        return AdaptedBatches(data, batches)
    of_data = batched(data, batch_size)
    if batches is not None:
        of_data = of_data.take(batches)
    if of_data.infinite:
        raise ValueError("`data` must be finite: give `batches`. Received: an infinite dataset")
    return of_data


def as_tuple(data: Any) -> Any:
    """Arrays as `fit` takes them: inputs alone as a tuple. Other data is left as it is."""
    if isinstance(data, tuple):
        return without_none(data)
    return (data,) if fitting.are_arrays(data) else data


def kept(data: Any, batch_size: int, batches: int | None) -> Any:
    """The data of several measures: `data` after a check, or the batches of a generator."""
    if isinstance(data, types.GeneratorType):
        return finite(data, batch_size, batches)
    data = as_tuple(data)
    if not _is_adapted(data):
        check_data(data)
    return data


def batched(data: Data, batch_size: int, name: str = "data") -> ArrayBatches | DatasetBatches:
    """All batches of `data`, which may be an infinite dataset. `name` is for messages."""
    [batch_size] = checked(batch_size=batch_size)
    check_data(data, name)
    of_data = DatasetBatches(data) if _is_dataset(data) else ArrayBatches(data, batch_size)
    if any(len(spec.shape) == 0 for spec in of_data.specs):
        raise ValueError(
            f"`{name}` must be batched: call `.batch(...)`. "
            f"Received: {name} with elements {of_data.structure}"
        )
    return of_data


def check_data(data: Data, name: str = "data") -> None:
    """Checks that a loss can be measured on `data`, without reading it. `name` is for messages."""
    if not isinstance(data, tuple) and not _is_dataset(data):
        others = ", or else what `fit` takes" if name == "data" else ""
        raise TypeError(
            f"`{name}` must be a tf.data.Dataset of batches (x, y) or (x, y, sample_weight), or a "
            f"tuple of arrays{others}. Received: {name} of type {type(data)}"
        )
    if not isinstance(data, tuple):
        return
    shapes = [tuple(np.shape(leaf)) for leaf in keras.tree.flatten(data)]
    if len({shape[:1] for shape in shapes}) != 1 or not shapes[0]:
        raise ValueError(
            f"`{name}` must hold arrays with one entry per example. "
            f"Received: arrays of the shapes {shapes}"
        )


def _is_adapted(data):
    if isinstance(data, tuple) or _is_dataset(data):
        return False
    return isinstance(data, types.GeneratorType) or fitting.has_adapter(data)


def _is_dataset(data):
    # Where there is a dataset, TensorFlow is loaded.
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(data, tensorflow.data.Dataset)


def _sliceable(array):
    """An array of NumPy, or a sparse one of SciPy, which stays so: each batch is made dense."""
    return array.tocsr() if hasattr(array, "tocsr") else as_numpy(array)


def unpacked(structure: Nested, leaves: Sequence[Tensor]) -> Batch:
    """x, y and sample_weight from the list of the arrays of a batch."""
    batch = keras.tree.pack_sequence_as(structure, leaves)
    return keras.utils.unpack_x_y_sample_weight(batch)

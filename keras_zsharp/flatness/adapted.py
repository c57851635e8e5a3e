"""Data that `fit` takes beside arrays and `tf.data`, as Keras' own adapters read it."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import sys
import types
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_zsharp.backend import NAME
from keras_zsharp.keras_internals import fitting


@dataclasses.dataclass(frozen=True)
class Spec:
    """Shape and dtype of the batches of an array."""

    shape: tuple[int | None, ...]
    dtype: Any


class AdaptedBatches:
    """Batches of a `keras.utils.PyDataset`, a PyTorch `DataLoader`, a generator, and the like.

    Each batch is a list of NumPy arrays. A generator is read once, and its batches are kept. Other
    data is read anew each time. PyTorch's generator is put back, and no epoch begins or ends.

    Args:
        data: What Keras has an adapter for.
        number: Number of batches, the first ones. None takes all.

    Attributes:
        structure, specs, infinite: As in `ArrayBatches`.
    """

    infinite = False

    def __init__(self, data: Any, number: int | None) -> None:
        self._data, self._number, self._kept = data, number, None
        if number is None and isinstance(data, keras.utils.PyDataset) and not _is_finite(data):
            raise ValueError(
                "`data` must be finite: give `batches`. Received: an infinite PyDataset"
            )
        if isinstance(data, types.GeneratorType):
            self._kept = list(self._read())
        first = list(itertools.islice(self._batches(), 2))
        if not first:
            raise ValueError("`data` must hold at least one example. Received: none")
        self.structure = first[0]
        self.specs = [_spec(arrays) for arrays in zip(*map(_leaves, first), strict=True)]

    def __iter__(self) -> Iterator[list[np.ndarray]]:
        return map(_leaves, self._batches())

    def _batches(self):
        return iter(self._kept) if self._kept is not None else self._read()

    def _read(self):
        data = self._data
        if isinstance(data, keras.utils.PyDataset):
            data = _items(data)
        if isinstance(data, types.GeneratorType):
            first = list(itertools.islice(data, 1))
            if not first:
                return
            data = _joined(first, data)
        with _put_back():
            for batch in itertools.islice(_read_by_keras(data), self._number):
                yield without_none(batch)


def without_none(batch: Any) -> Any:
    """A batch without the targets or sample weights at its end that are None, as Keras takes it."""
    if isinstance(batch, tuple | list):
        while len(batch) > 1 and batch[-1] is None:
            batch = batch[:-1]
    return batch


def as_numpy(array: Any) -> np.ndarray:
    """An array or tensor of NumPy, of which a sparse one of SciPy is made dense."""
    if keras.ops.is_tensor(array):
        return keras.ops.convert_to_numpy(array)
    return np.asarray(array.toarray() if hasattr(array, "toarray") else array)


def dtype_of(array: np.ndarray) -> Any:
    """The dtype of an array. NumPy has none for strings of all lengths."""
    return "string" if array.dtype.kind in "OSTU" else array.dtype


def _read_by_keras(data):
    torch = sys.modules.get("torch")
    if NAME == "torch" and torch is not None and isinstance(data, torch.utils.data.DataLoader):
        # NumPy lacks some of PyTorch's dtypes, so that Keras' adapter would fail.
        return iter(data)
    return fitting.numpy_batches(data)


def _is_finite(dataset):
    return dataset.num_batches is not None


def _items(dataset):
    """The batches of a `PyDataset`, in order and in this thread."""
    numbers = range(dataset.num_batches) if _is_finite(dataset) else itertools.count()
    for i in numbers:
        batch = dataset[i]
        yield tuple(batch) if isinstance(batch, tuple | list) else (batch,)


def _joined(first, others):
    yield from first
    yield from others


def _leaves(batch):
    return [as_numpy(leaf) for leaf in keras.tree.flatten(batch)]


def _spec(arrays):
    """Lengths that differ between the first batches are unknown, as in Keras."""
    sizes = zip(*(array.shape[1:] for array in arrays), strict=True)
    known = [size if len({size, *others}) == 1 else None for size, *others in sizes]
    return Spec((None, *known), dtype_of(arrays[0]))


@contextlib.contextmanager
def _put_back():
    """A `DataLoader` draws from PyTorch's generator, also where it does not shuffle."""
    torch = sys.modules.get("torch")
    with torch.random.fork_rng(devices=[]) if torch else contextlib.nullcontext():
        yield

"""The batches of `ascent_data`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from keras_zsharp.backend import NAME
from keras_zsharp.flatness.adapted import as_numpy, without_none
from keras_zsharp.flatness.batches import ArrayBatches, batched, unpacked
from keras_zsharp.lazily import tf
from keras_zsharp.typing import Batch, Data


class Source:
    """Batches `(x, y, sample_weight)` of `ascent_data` for a step that runs eagerly.

    Args:
        data: The data.
        batch_size: For arrays.
        drawn: Whether the step draws one batch after the other, or reads all of them.
    """

    def __init__(self, data: Data, batch_size: int, drawn: bool) -> None:
        self._batches = batched(without_none(data), batch_size, "ascent_data")
        if self._batches.infinite and not drawn:
            raise ValueError(
                "`ascent_data` must be finite: call `.take(...)`. Received: an infinite dataset"
            )
        self._read(drawn)

    def _read(self, drawn):
        if drawn:
            # So `keras.utils.set_random_seed` sets the order.
            random = np.random.default_rng(np.random.randint(2**31))
            self._draws: Iterator[Any] = self._rounds(random)
        if next(iter(self._batches), None) is None:
            raise ValueError(NOTHING)

    def _rounds(self, random):
        """All batches again and again. Arrays have a new order each time."""
        while True:
            batches = self._batches
            if isinstance(batches, ArrayBatches):
                batches = batches.picked(random.permutation(batches.arrays[0].shape[0]))
            yield from batches

    def fold(self, function: Callable[[Batch, Any], Any], state: Any) -> Any:
        """Calls `function(batch, state)` for one batch after the other. Returns the last state."""
        for leaves in self._batches:
            state = function(self._unpacked(leaves), state)
        return state

    def draw(self) -> Batch:
        """The next batch."""
        return self._unpacked(next(self._draws))

    def _unpacked(self, leaves):
        leaves = [keras.ops.convert_to_tensor(leaf) for leaf in leaves]
        return unpacked(self._batches.structure, leaves)


class SourceOfGraphs(Source):
    """The same batches for a step in a graph of TensorFlow."""

    def _read(self, drawn):
        self._dataset = self._as_dataset(drawn)
        self._size = int(self._dataset.cardinality())
        if self._size == tf.data.UNKNOWN_CARDINALITY and not drawn:
            self._size = int(self._dataset.reduce(0, lambda size, _: size + 1))
        if self._size == 0:
            raise ValueError(NOTHING)
        if drawn:
            self._draws = iter(self._dataset.repeat())

    def _as_dataset(self, drawn):
        batches = self._batches
        if not isinstance(batches, ArrayBatches):
            return batches.dataset
        dataset = tf.data.Dataset.from_tensor_slices(tuple(map(as_numpy, batches.arrays)))
        if drawn:
            dataset = dataset.shuffle(max(1, len(dataset)))
        return dataset.batch(batches.batch_size)

    def fold(self, function: Callable[[Batch, Any], Any], state: Any) -> Any:
        batches = iter(self._dataset)

        def step(i, *state):
            return i + 1, *function(self._unpacked(next(batches)), state)

        _, *state = tf.while_loop(
            lambda i, *_: i < self._size, step, (0, *state), parallel_iterations=1
        )
        return state

    def _unpacked(self, batch):
        return unpacked(self._batches.structure, keras.tree.flatten(batch))


NOTHING = "`ascent_data` must hold at least one batch. Received: none"


def source(data: Data, batch_size: int, drawn: bool) -> Source:
    """The kind of `Source` for Keras' backend."""
    kind = SourceOfGraphs if NAME == "tensorflow" else Source
    return kind(data, batch_size, drawn)

import keras
import numpy as np

from keras_zsharp.lazily import tf
from keras_zsharp.sharpness.batches import ArrayBatches, batched, unpacked


class Source:
    """Batches `(x, y, sample_weight)` of `ascent_data`, to be read by a step that runs eagerly."""

    def __init__(self, data, batch_size, drawn):
        self._batches = batched(data, batch_size, "ascent_data")
        if self._batches.infinite and not drawn:
            raise ValueError(
                "`ascent_data` must be finite: call `.take(...)`. Received: an infinite dataset"
            )
        self._read(drawn)

    def _read(self, drawn):
        if drawn:
            # As `keras.utils.set_random_seed` has it.
            self._draws = self._rounds(np.random.default_rng(np.random.randint(2**31)))
        if next(iter(self._batches), None) is None:
            raise ValueError(NOTHING)

    def _rounds(self, random):
        """All batches over and over: of arrays, in another order each time."""
        while True:
            batches = self._batches
            if isinstance(batches, ArrayBatches):
                batches = batches.picked(random.permutation(len(batches.arrays[0])))
            yield from batches

    def fold(self, function, state):
        """`function(batch, state)` of all batches, one after the other; its last result."""
        for leaves in self._batches:
            state = function(self._unpacked(leaves), state)
        return state

    def draw(self):
        """The next batch."""
        return self._unpacked(next(self._draws))

    def _unpacked(self, leaves):
        leaves = [keras.ops.convert_to_tensor(leaf) for leaf in leaves]
        return unpacked(self._batches.structure, leaves)


class SourceOfGraphs(Source):
    """The same, to be read in a graph of TensorFlow's, too."""

    def _read(self, drawn):
        self._dataset = self._as_dataset(drawn)
        self._count = int(self._dataset.cardinality())
        if self._count == tf.data.UNKNOWN_CARDINALITY and not drawn:
            self._count = int(self._dataset.reduce(0, lambda count, _: count + 1))
        if self._count == 0:
            raise ValueError(NOTHING)
        self._draws = iter(self._dataset.repeat()) if drawn else None

    def _as_dataset(self, drawn):
        batches = self._batches
        if not isinstance(batches, ArrayBatches):
            return batches.dataset
        dataset = tf.data.Dataset.from_tensor_slices(tuple(batches.arrays))
        if drawn:
            dataset = dataset.shuffle(max(1, len(dataset)))
        return dataset.batch(batches.batch_size)

    def fold(self, function, state):
        batches = iter(self._dataset)

        def step(i, *state):
            return i + 1, *function(self._unpacked(next(batches)), state)

        _, *state = tf.while_loop(
            lambda i, *_: i < self._count, step, (0, *state), parallel_iterations=1
        )
        return state

    def _unpacked(self, batch):
        return unpacked(self._batches.structure, keras.tree.flatten(batch))


NOTHING = "`ascent_data` must hold at least one batch. Received: none"


def source(data, batch_size, drawn):
    """Of Keras' backend."""
    kind = SourceOfGraphs if keras.backend.backend() == "tensorflow" else Source
    return kind(data, batch_size, drawn)

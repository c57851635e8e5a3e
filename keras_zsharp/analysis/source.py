import tensorflow as tf

from keras_zsharp.sharpness.batches import batched
from keras_zsharp.sharpness.derivatives import unpacked


class Source:
    """Batches `(x, y, sample_weight)` of `ascent_data`, to be read in a graph or eagerly."""

    def __init__(self, data, batch_size, drawn):
        self._dataset, self._structure = batched(data, batch_size, "ascent_data", shuffled=drawn)
        self.count = int(self._dataset.cardinality())
        if self.count == tf.data.INFINITE_CARDINALITY and not drawn:
            raise ValueError(
                "`ascent_data` must be finite: call `.take(...)`. Received: an infinite dataset"
            )
        if self.count == tf.data.UNKNOWN_CARDINALITY and not drawn:
            self.count = int(self._dataset.reduce(0, lambda count, _: count + 1))
        if self.count == 0:
            raise ValueError("`ascent_data` must hold at least one batch. Received: none")
        self._draws = iter(self._dataset.repeat()) if drawn else None

    def all(self):
        """An iterator over all batches, from the first."""
        return map(self._unpacked, iter(self._dataset))

    def draw(self):
        """The next batch."""
        return self._unpacked(next(self._draws))

    def _unpacked(self, batch):
        return unpacked(self._structure, tf.nest.flatten(batch))

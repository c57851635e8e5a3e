from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_zsharp.lazily import tf
from keras_zsharp.typing import Logs, Tensor


class EpochOrder(keras.callbacks.Callback):
    """Gives epoch n of `fit` the order and augmentation of epoch n, in a resumed run, too.

    `bundle.train` has a new order and a new augmentation every time it is read. Both follow from
    its seed and from the number of times it was read. A run that resumes after three epochs in a
    new process reads it for the first time. With `bundle.epoch_order` among the callbacks, the run
    reads what it would have read in its fourth epoch:

        model.fit(
            bundle.train,
            epochs=10,
            callbacks=[keras_zsharp.callbacks.Backup("backup"), bundle.epoch_order],
        )

    An epoch must be the whole of `bundle.train`. Where the dataset is repeated and cut by
    `steps_per_epoch`, TensorFlow reads the next epoch before this callback hears of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._next = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._next = epoch

    def each(self, seed: int, elements: Callable[[Tensor], Any]) -> Any:
        """A dataset that is, in each epoch, `elements` of the epoch's seed.

        Args:
            seed: Seed of all epochs, an int.
            elements: Function from an epoch's seed, an int64 tensor of shape (2,), to a
                `tf.data.Dataset`.

        Returns:
            A `tf.data.Dataset`.
        """

        def of_this_epoch(_):
            number = tf.ensure_shape(tf.numpy_function(self.begin, [], tf.int64), ())
            return elements(tf.stack([tf.constant(seed, tf.int64), number]))

        return tf.data.Dataset.range(1).flat_map(of_this_epoch)

    def begin(self) -> int:
        """The number of the epoch that begins to be read."""
        number, self._next = self._next, self._next + 1
        return number

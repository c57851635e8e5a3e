import keras

from keras_zsharp.lazily import tf


class EpochOrder(keras.callbacks.Callback):
    """Gives epoch n of `fit` the order and augmentation of epoch n, in a resumed run as well.

    The training part of a `DatasetBundle` has a new order and new augmentation every time it is
    read, which follow from its seed and from how often it has been read. A run that goes on in a
    new process after three epochs reads it for the first time again. With the `epoch_order` of the
    bundle among the callbacks, it reads what it would have read in its fourth epoch:

        model.fit(
            bundle.train,
            epochs=10,
            callbacks=[keras_zsharp.callbacks.Backup("backup"), bundle.epoch_order],
        )

    An epoch is to be the whole of `bundle.train`: where it is repeated and cut by
    `steps_per_epoch`, TensorFlow reads ahead of the epoch that is told.
    """

    def __init__(self):
        super().__init__()
        self._next = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._next = epoch

    def each(self, seed, elements):
        """A dataset whose elements are those of `elements(seed)`.

        Args:
            seed: Integer.
            elements: Function from the epoch's seed, an int64 tensor of shape (2,), to a
                `tf.data.Dataset`.
        """

        def of_this_epoch(_):
            number = tf.ensure_shape(tf.numpy_function(self._read, [], tf.int64), ())
            return elements(tf.stack([tf.constant(seed, tf.int64), number]))

        return tf.data.Dataset.range(1).flat_map(of_this_epoch)

    def _read(self):
        number, self._next = self._next, self._next + 1
        return number

"""What Keras 3.15 lacks for `tf.distribute.MultiWorkerMirroredStrategy` (its issue 20585).

Its `fit` fails before the first step, since it averages the first batch over the workers in order
to learn its shape, and after it, since it averages scalar logs along an axis that they do not have.
A test tells when plain Keras needs neither any more: then this module can go.
"""

import keras
import tensorflow as tf

from keras_zsharp.keras_internals import spans_workers


def first_batch(strategy, iterator):
    """The first batch of Keras' epoch iterator, as the first of this worker's replicas gets it.

    Keras averages it over the replicas, which fails where their parts are of unequal size.
    """
    for _, _, batches in iterator:
        return keras.tree.map_structure(
            lambda x: None if x is None else strategy.experimental_local_results(x)[0],
            next(batches),
        )


def as_vectors(strategy, logs):
    """Scalars as vectors of one element, whose mean over the workers Keras can take."""
    if not spans_workers(strategy):
        return logs
    return keras.tree.map_structure(lambda value: tf.reshape(value, [1]), logs)

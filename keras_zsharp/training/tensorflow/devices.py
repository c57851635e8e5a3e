"""Several devices, and several workers, which Keras 3.15 cannot train on (its issue 20585).

With `tf.distribute.MultiWorkerMirroredStrategy` its `fit` fails before the first step, since it
averages the first batch over the workers in order to learn its shape, and after it, since it
averages scalar logs along an axis that they do not have. A test tells when plain Keras needs
neither any more: then `first_batch` and `as_vectors` can go.
"""

import keras
import tensorflow as tf

from keras_zsharp.tensorflow_internals import spans_workers


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


def check_devices(model):
    """On several devices, what fails in plain Keras too is refused before it fails obscurely."""
    strategy, optimizer = model.distribute_strategy, model.optimizer
    count = strategy.num_replicas_in_sync
    if count == 1:
        return
    accumulated = getattr(optimizer, "inner_optimizer", optimizer).gradient_accumulation_steps
    on_cpus = any("CPU" in device for device in strategy.extended.worker_devices)
    for name, bound, received, fails in (
        ("gradient_accumulation_steps", "None", accumulated, accumulated is not None),
        ("steps_per_execution", "1", model.steps_per_execution, model.steps_per_execution > 1),
        ("jit_compile", "False on CPUs", model.jit_compile, model.jit_compile and on_cpus),
    ):
        if fails:
            raise ValueError(
                f"`{name}` must be {bound} under a strategy with several devices, where it fails "
                f"in plain Keras too. Received: {name}={received} and {count} devices"
            )

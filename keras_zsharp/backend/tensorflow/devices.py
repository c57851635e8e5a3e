"""Several devices, and several workers, which Keras 3.15 cannot train on (its issue 20585).

With `tf.distribute.MultiWorkerMirroredStrategy`, Keras' `fit` fails before the first step: it
averages the first batch over the workers to learn its shape. It fails after the step, too: it
averages scalar logs along an axis that they do not have. `first_batch` and `as_vectors` avoid this.
A test fails once plain Keras needs neither.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_zsharp.backend.tensorflow.tensorflow_internals import spans_workers
from keras_zsharp.typing import Logs, Nested


def first_batch(strategy: tf.distribute.Strategy, iterator: Any) -> Nested:
    """The first batch of Keras' epoch iterator on the first of this worker's replicas.

    Keras averages the batch over the replicas, which fails if their shares differ in size.
    """
    for _, _, batches in iterator:
        return keras.tree.map_structure(
            lambda x: None if x is None else strategy.experimental_local_results(x)[0],
            next(batches),
        )


def as_vectors(strategy: tf.distribute.Strategy, logs: Logs) -> Logs:
    """The logs as vectors of one element, which Keras can average over the workers."""
    if not spans_workers(strategy):
        return logs
    return keras.tree.map_structure(lambda value: tf.reshape(value, [1]), logs)


def check_devices(model: Any) -> None:
    """Refuses what fails on several devices in plain Keras too, with a clear message."""
    strategy, optimizer = model.distribute_strategy, model.optimizer
    devices = strategy.num_replicas_in_sync
    if devices == 1:
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
                f"in plain Keras too. Received: {name}={received} and {devices} devices"
            )

"""What rules are given on several devices, without the devices."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_zsharp.backend.tensorflow import gradients

VARIABLES = [keras.Variable(np.zeros(2)), keras.Variable(np.zeros(1))]


class Replica:
    """One of two, whose other has three times its gradients."""

    num_replicas_in_sync = 2

    def all_reduce(self, operation, values):
        assert operation == tf.distribute.ReduceOp.MEAN
        return [(value + 3 * value) / 2 for value in values]


@pytest.mark.parametrize(("sync", "mean"), [("replica", 1.0), ("global", 2.0)])
def test_gradients_are_those_of_the_whole_loss(sync, mean, monkeypatch):
    """Of which a replica has but its share, and the optimizer a scale."""
    monkeypatch.setattr(tf.distribute, "get_replica_context", Replica)
    scale, g = 8.0, np.float32([3, 4])
    dense = gradients.dense([tf.constant(scale * g / 2), None], VARIABLES, sync)
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(), initial_scale=scale)
    optimizer.build([])
    found = gradients.unscaled(dense, optimizer)
    np.testing.assert_allclose(found[0], mean * g)
    assert found[1] is None

"""What TensorFlow's graphs do in a pass: assertions, and functions of a layer's own."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from keras_zsharp import FriendlySAM, SharpnessAwareModel
from tests.still import still
from tests.tiers import crossed
from tests.training.cases import MODES, OUTSIDE_XLA, assert_same


class FailsWhenShifted(layers.Layer):
    """Raises, forward or backward, once its weight is further than `limit` from 1."""

    def __init__(self, where):
        super().__init__()
        self.where = where

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1],), initializer="ones")
        self.limit = self.add_weight(shape=(), initializer="ones", trainable=False)

    def call(self, inputs):
        holds = ops.max(ops.abs(self.w - 1)) <= self.limit

        def checked(tensor):
            check = tf.debugging.Assert(holds, ["shifted"])
            with tf.control_dependencies([check] if check is not None else []):
                return tf.identity(tensor)

        @tf.custom_gradient
        def checked_backward(tensor):
            return tf.identity(tensor), checked

        guard = checked if self.where == "forward" else checked_backward
        return guard(inputs) * tf.identity(self.w)


PARTS = {"perturb_every": 2, "micro_batches": 2}


@pytest.mark.parametrize(
    ("where", "mode", "in_parts"),
    crossed(
        itertools.product(("forward", "backward"), OUTSIDE_XLA, (False, True)),
        default=[
            ("forward", "graph", True),
            ("backward", "graph", False),
            ("forward", "eager", False),
            ("backward", "eager", True),
        ],
    ),
)
def test_exception_in_second_pass_changes_nothing(where, mode, in_parts):
    inputs = keras.Input((4,))
    failing = FailsWhenShifted(where)
    x = layers.Dropout(0.5)(layers.BatchNormalization()(layers.Dense(4)(inputs)))
    net = keras.Model(inputs, layers.Dense(1)(failing(x)))
    model = SharpnessAwareModel(net, FriendlySAM(rho=0.5), **(PARTS if in_parts else {}))
    model.compile("adamw", "mse", **MODES[mode])
    x, y = np.random.normal(size=(8, 4)).astype("float32"), np.ones((8, 1), "float32")
    failing.limit.assign(100.0)
    for _ in range(2):
        model.train_on_batch(x, y)
    failing.w.assign(np.ones(4))
    failing.limit.assign(1e-6)

    variables = [*model.variables, *model.optimizer.variables]
    before = [v.numpy() for v in variables]
    assert len(before) > 20
    with pytest.raises(tf.errors.InvalidArgumentError):
        model.train_on_batch(x, y)
    assert_same([v.numpy() for v in variables], before)

    failing.limit.assign(100.0)
    model.train_on_batch(x, y)
    assert np.any(net.layers[1].kernel.numpy() != before[0])


class StatefulFunction(layers.Layer):
    """Its `call` is a `tf.function` that draws from a seed generator."""

    def __init__(self):
        super().__init__()
        self.dropout = layers.Dropout(0.5, seed=1)

    @tf.function
    def call(self, inputs, training=None):
        return self.dropout(inputs, training=training)


def stateful_function(**mode):
    net = keras.Sequential([keras.Input((8,)), StatefulFunction(), layers.Dense(1)])
    model = SharpnessAwareModel(net, still())
    model.compile(keras.optimizers.SGD(0.0), "mse", **mode)
    return model, (np.ones((4, 8), "float32"), np.ones((4, 1), "float32"))


def test_graph_follows_state_in_a_function_of_a_layers_own():
    model, (x, y) = stateful_function(jit_compile=False)
    logs = model.fit(x, y, epochs=3, verbose=0).history
    np.testing.assert_allclose(logs["sharpness"], 0.0, atol=1e-6)
    assert len(set(logs["loss"])) == 3


def test_state_in_a_function_of_a_layers_own_is_refused_eagerly():
    """A cached trace would hide the assignments of later steps."""
    model, (x, y) = stateful_function(run_eagerly=True)
    before = model.model.get_weights()
    with pytest.raises(ValueError, match=r"Compile without `run_eagerly`\. Received: '.*seed_gen"):
        model.fit(x, y, verbose=0)
    assert_same(model.model.get_weights(), before)

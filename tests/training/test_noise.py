"""Noise that the passes do not share is warned of; Keras' own they share."""

import random
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_zsharp import SAM, SharpnessAwareModel
from tests.tiers import crossed
from tests.training.cases import MODES, normal

X, Y = normal(5), normal(1)
GENERATOR = tf.random.Generator.from_seed(1)
WARNED = {
    "tf.random": lambda x: x + tf.random.normal((5,)),
    "tf.random.uniform of integers": lambda x: (
        x + tf.cast(tf.random.uniform((5,), maxval=3, dtype="int32"), "float32")
    ),
    "tf.random.categorical": lambda x: (
        x + tf.cast(tf.random.categorical(tf.zeros((1, 2)), 1), "float32")
    ),
    "tf.random.shuffle": tf.random.shuffle,
    "tf.random.Generator": lambda x: x + GENERATOR.normal((5,)),
    "tf.nn.dropout": lambda x: tf.nn.dropout(x, 0.5),
    "numpy": lambda x: x + np.random.normal(size=5).astype("float32"),
    "python": lambda x: x + random.random(),
}
# Eagerly, no operation can be seen.
EAGERLY = ("numpy", "python")
SILENT = {
    "keras.random": lambda x: x + keras.random.normal((5,)),
    "a seed of its own": lambda x: x + tf.random.stateless_normal((5,), (1, 2)),
    "a generator of its own": lambda x: (
        x + np.random.default_rng(0).normal(size=5).astype("float32")
    ),
    "numpy_function": lambda x: tf.ensure_shape(
        tf.numpy_function(np.tanh, [x], "float32"), (12, 5)
    ),
}


def train(draw, mode):
    class Noise(layers.Layer):
        def call(self, inputs):
            return draw(inputs)

    net = keras.Sequential([keras.Input((5,)), layers.Dense(5), Noise(), layers.Dense(1)])
    model = SharpnessAwareModel(net, SAM(rho=0.1))
    model.compile(keras.optimizers.SGD(0.1), "mse", **MODES[mode])
    model.fit(X, Y, batch_size=len(X), epochs=2, verbose=0)


@pytest.mark.parametrize(
    ("name", "mode"),
    crossed(
        [*((name, "graph") for name in WARNED), *((name, "eager") for name in EAGERLY)],
        [("tf.nn.dropout", "graph"), ("numpy", "eager")],
    ),
)
def test_noise_of_others_is_warned_of(name, mode):
    with pytest.warns(
        UserWarning, match=re.escape("The two passes of a step draw different noise")
    ):
        train(WARNED[name], mode)


@pytest.mark.parametrize(
    ("name", "mode"),
    crossed(
        [(name, mode) for name in SILENT for mode in ("eager", "graph")],
        [("keras.random", "eager"), ("keras.random", "graph")],
    ),
)
def test_other_noise_is_not_warned_of(name, mode, recwarn):
    train(SILENT[name], mode)
    assert not [w for w in recwarn if "different noise" in str(w.message)]

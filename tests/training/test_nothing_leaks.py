"""Nothing leaks out of the step: not into the weights, the statistics or the next step."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_zsharp import SAM, SharpnessAwareModel
from tests.still import still
from tests.training.cases import BACKEND, MODES, OUTSIDE_XLA, assert_same, in_every_mode

if BACKEND == "tensorflow":
    import tensorflow
elif BACKEND == "jax":
    import jax


@in_every_mode
def test_batch_normalization_sees_one_clean_pass(mode):
    net = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4), layers.BatchNormalization(momentum=0.5)]
    )
    x = np.random.normal(size=(8, 3)).astype("float32")
    hidden = ops.convert_to_numpy(net.layers[0](x))
    model = SharpnessAwareModel(net, SAM(rho=5.0))
    model.compile("sgd", "mse", **mode)
    model.train_on_batch(x, np.ones((8, 4), "float32"))
    normalization = net.layers[1]
    np.testing.assert_allclose(normalization.moving_mean, 0.5 * hidden.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(
        normalization.moving_variance, 0.5 + 0.5 * hidden.var(axis=0), rtol=1e-4
    )


def call_on_the_host(function, tensor):
    if BACKEND == "tensorflow":
        tensorflow.py_function(function, [tensor], [])
    elif BACKEND == "jax":
        jax.debug.callback(function, tensor)
    else:
        function(ops.convert_to_numpy(tensor))


class Recorded(layers.Layer):
    """Appends the dropout mask that each pass draws to `masks`, while `masks` is a list."""

    def __init__(self, masks):
        super().__init__()
        self.dropout = layers.Dropout(0.5, seed=1)
        self._record = lambda mask: masks.append(mask)

    def call(self, inputs, training=None):
        mask = self.dropout(ops.ones_like(inputs), training=training)
        if training:
            call_on_the_host(self._record, mask)
        return inputs * mask


@pytest.mark.parametrize("mode", OUTSIDE_XLA)
def test_both_passes_see_the_same_dropout(mode):
    masks = []
    net = keras.Sequential([keras.Input((32,)), Recorded(masks), layers.Dense(1)])
    masks.clear()
    model = SharpnessAwareModel(net, SAM(rho=0.5))
    model.compile("sgd", "mse", **MODES[mode])
    x, y = np.ones((4, 32), "float32"), np.ones((4, 1), "float32")
    for _ in range(3):
        model.train_on_batch(x, y)
    if BACKEND == "jax":
        jax.effects_barrier()
    first, second, third, fourth, fifth, sixth = (np.array(mask) for mask in masks)
    assert_same([first, third, fifth], [second, fourth, sixth])
    assert (first != third).any()
    assert (third != fifth).any()


class UnseededNoise(layers.Layer):
    """Draws from Keras' global seed generator, which no layer tracks."""

    def call(self, inputs, training=None):
        return inputs + keras.random.normal((3,)) if training else inputs


@pytest.mark.skipif(BACKEND == "jax", reason="Keras draws the same noise in every step there")
@in_every_mode
def test_noise_without_a_seed_is_the_same_in_both_passes_and_new_in_every_step(mode):
    net = keras.Sequential([keras.Input((3,)), UnseededNoise(), layers.Dense(1)])
    model = SharpnessAwareModel(net, still())
    model.compile(keras.optimizers.SGD(0.0), "mse", **mode)
    x, y = np.ones((2, 3), "float32"), np.ones((2, 1), "float32")
    logs = model.fit(x, y, epochs=4, verbose=0).history
    np.testing.assert_allclose(logs["sharpness"], 0.0, atol=1e-6)
    assert len(set(logs["loss"])) == 4


def test_eager_model_may_take_another_way_in_the_second_pass():
    """Layer drop by Python's own random numbers: what is left out has no gradient."""

    class Dropping(keras.Model):
        def __init__(self):
            super().__init__()
            self.extra, self.head, self.calls = layers.Dense(3), layers.Dense(1), 0

        def call(self, inputs):
            self.calls += 1
            return self.head(self.extra(inputs) if self.calls % 2 else inputs)

    net = Dropping()
    net(np.ones((2, 3), "float32"))
    model = SharpnessAwareModel(net, "sam")
    model.compile("sgd", "mse", run_eagerly=True)
    before = ops.convert_to_numpy(net.head.kernel).copy()
    model.train_on_batch(np.ones((2, 3), "float32"), np.zeros((2, 1), "float32"))
    assert (ops.convert_to_numpy(net.head.kernel) != before).any()

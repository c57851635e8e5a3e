"""Layers that are computed again while going backward belong to the pass, on every backend."""

import keras
import numpy as np
import pytest

import keras_zsharp
from keras_zsharp import SharpnessAwareModel, flatness
from tests.backends import networks
from tests.still import still

BACKEND = keras.backend.backend()


class Again(keras.layers.Layer):
    """Computes its layers again while going backward."""

    def __init__(self, *layers):
        super().__init__()
        self.of_it = list(layers)

    def build(self, shape):
        for layer in self.of_it:
            layer.build(shape)

    def call(self, inputs, training=None):
        def through(tensor):
            for layer in self.of_it:
                by_phase = isinstance(layer, keras.layers.Dropout | keras.layers.BatchNormalization)
                tensor = layer(tensor, **({"training": training} if by_phase else {}))
            return tensor

        return keras.remat(through)(inputs)


class InTurn(Again):
    def call(self, inputs, training=None):
        for layer in self.of_it:
            inputs = layer(inputs)
        return inputs


def scoped(*layers):
    del layers
    with keras.RematScope(mode="full"):
        return keras.layers.Dense(64, activation="tanh")


def network(kind, *layers):
    """Three layers, of which the middle one is computed again."""
    keras.utils.set_random_seed(0)
    middle = kind(keras.layers.Dense(64, activation="tanh"), *layers)
    net = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), middle])
    net.add(keras.layers.Dense(10))
    random = np.random.default_rng(0)
    net.set_weights([random.normal(0, 0.2, w.shape).astype("float32") for w in net.get_weights()])
    return net


@pytest.mark.parametrize("kind", [Again, scoped])
def test_layers_that_are_computed_again_see_the_weights_of_the_pass(kind):
    """Eagerly, since `RematScope` fails in a graph of TensorFlow."""
    nets = [network(InTurn), network(kind)]
    for net in nets:
        model = SharpnessAwareModel(net, keras_zsharp.SAM(rho=1.0))
        networks.trained(networks.compiled(model, run_eagerly=True), examples=96)
    for one, other in zip(*(networks.copied(net.weights) for net in nets), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.skipif(BACKEND == "jax", reason="state cannot leave `jax.checkpoint`")
def test_without_radius_layers_with_state_that_are_computed_again_train_as_in_plain_keras():
    nets, logs = [], []
    for way in (lambda net: net, lambda net: SharpnessAwareModel(net, still())):
        layers = [keras.layers.Dropout(0.5, seed=1), keras.layers.BatchNormalization()]
        nets.append(network(Again, *layers))
        logs.append(networks.trained(networks.compiled(way(nets[-1])), examples=96)["loss"])
    np.testing.assert_allclose(*logs, rtol=1e-6)
    for one, other in zip(*(networks.copied(net.variables) for net in nets), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_derivatives_of_layers_that_are_computed_again():
    data, found = networks.data(32), []
    for kind in (InTurn, Again):
        loss = flatness.MeanLoss(networks.compiled(network(kind), run_eagerly=True), data)
        shift = np.linspace(-0.1, 0.1, loss.size)
        found.append([loss.gradient(shift)[1]])
        if BACKEND != "tensorflow":  # `tf.recompute_grad` has no second derivative.
            found[-1].append(loss.product(shift))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)

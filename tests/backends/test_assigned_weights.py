"""Layers that assign their own weights: the second pass starts from what the clean one did."""

import keras
import numpy as np
import pytest

from keras_zsharp import SAM, SharpnessAwareModel, sharpness_aware

BACKEND = keras.backend.backend()
RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(24, 5)).astype("float32"), RANDOM.normal(size=(24, 1)).astype("float32")
WAYS = {"wrapper": SharpnessAwareModel, "in place": sharpness_aware}


class Halved(keras.layers.Dense):
    def call(self, inputs, training=None):
        if training:
            self.kernel.assign(0.5 * self.kernel)
        return super().call(inputs)


class InPlace(keras.layers.Dense):
    """It changes PyTorch's tensors behind the variables."""

    def __init__(self, *args, of, **kwargs):
        super().__init__(*args, **kwargs)
        self.of = of

    def build(self, shape):
        super().build(shape)
        self.counter = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, inputs, training=None):
        if training:
            import torch

            with torch.no_grad():
                self.of(self).mul_(0.5).add_(1.0)
        return super().call(inputs) * self.counter


def spectral(units):
    return keras.layers.SpectralNormalization(keras.layers.Dense(units))


def network(layer):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((5,)), layer(6), keras.layers.Dense(1)])


def trained(model, eagerly=False):
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=eagerly)
    model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layer", [Halved, spectral])
def test_with_next_to_no_radius_it_is_plain_keras(layer, way, eagerly):
    own = trained(WAYS[way](network(layer), SAM(1e-12)), eagerly)
    for ours, theirs in zip(own, trained(network(layer), eagerly), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(BACKEND != "torch", reason="Only PyTorch's tensors change in place")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "of",
    [lambda la: la.kernel.value, lambda la: next(la.parameters()), lambda la: la.counter.value],
)
def test_tensors_that_change_in_place_are_refused(of, way):
    model = WAYS[way](network(lambda units: InPlace(units, of=of)), SAM(0.05))
    with pytest.raises(ValueError, match=r"`variable.assign\(value\)`.*in_place.*changed in place"):
        trained(model)

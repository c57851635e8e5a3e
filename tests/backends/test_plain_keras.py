"""At rho = 0 every kind of net trains as plain Keras does, whichever way it became sharpness-aware.

The nets have dropout and BatchNormalization: in the wrong phase they train otherwise.
"""

import keras
import numpy as np
import pytest

import keras_zsharp
from tests.still import still


class Subclass(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.net = parts()

    def call(self, inputs, training=None):
        for layer in self.net:
            takes = not isinstance(layer, keras.layers.Dense)
            inputs = layer(inputs, training=training) if takes else layer(inputs)
        return inputs


class Mixed(keras_zsharp.SharpnessAwareTraining, Subclass):
    """A mixin can be neither Sequential nor functional by its constructor's arguments."""


class MixedSequential(keras_zsharp.SharpnessAwareTraining, keras.Sequential):
    pass


def parts():
    return [
        keras.layers.Dense(4, activation="tanh", kernel_regularizer="l2"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5, seed=1),
        keras.layers.Dense(1),
    ]


def sequential():
    return keras.Sequential([keras.Input((3,)), *parts()])


def functional():
    inputs = outputs = keras.Input((3,))
    for layer in parts():
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def mixed(kind, rule):
    if kind is Subclass:
        return Mixed(rule=rule)
    model = MixedSequential(rule=rule)
    for layer in parts():
        model.add(layer)
    return model


WAYS = {
    "wrapper": lambda kind, rule: keras_zsharp.SharpnessAwareModel(kind(), rule),
    "in place": lambda kind, rule: keras_zsharp.sharpness_aware(kind(), rule),
    "mixin": mixed,
}
CASES = [
    (kind, way)
    for kind in (sequential, functional, Subclass)
    for way in WAYS
    if (kind, way) != (functional, "mixin")
]


def trained(model, **mode):
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", **mode)
    random = np.random.default_rng(0)
    x, y = random.normal(size=(16, 3)).astype("float32"), random.normal(size=(16, 1))
    data = x, y.astype("float32")
    history = model.fit(*data, batch_size=8, epochs=2, shuffle=False, verbose=0)
    return history.history["loss"], [keras.ops.convert_to_numpy(w) for w in plain(model).weights]


def plain(model):
    sharpness_aware = isinstance(model, keras_zsharp.SharpnessAwareTraining)
    return getattr(model, "model", model) if sharpness_aware else model


def same_start(make):
    keras.utils.set_random_seed(0)
    return make()


@pytest.mark.parametrize("eagerly", [False, True], ids=["compiled", "eager"])
@pytest.mark.parametrize(("kind", "way"), CASES, ids=[f"{k.__name__}-{w}" for k, w in CASES])
def test_without_radius_it_is_plain_keras(kind, way, eagerly):
    mode = {"run_eagerly": eagerly}
    losses, weights = trained(same_start(kind), **mode)
    own_losses, own = trained(same_start(lambda: WAYS[way](kind, still())), **mode)
    np.testing.assert_allclose(own_losses, losses, rtol=1e-6)
    for expected, value in zip(weights, own, strict=False):
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6)

"""What Keras' own step on JAX reaches, ours reaches, too: the step is a function of a state."""

import keras
import numpy as np
import pytest

import keras_zsharp
from tests.backends import networks

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX's trainer has these.")


class Tripled(keras.Sequential):
    def compute_loss_and_updates(self, *args, **kwargs):
        loss, updates = super().compute_loss_and_updates(*args, **kwargs)
        return 3 * loss, updates


class TripledLoss(keras.Sequential):
    def stateless_compute_loss(self, *args, **kwargs):
        loss, variables = super().stateless_compute_loss(*args, **kwargs)
        return 3 * loss, variables


class TripledOutputs(keras.Sequential):
    def stateless_call(self, *args, **kwargs):
        outputs, *others = super().stateless_call(*args, **kwargs)
        return 3 * outputs, *others


class TripledMetrics(keras.Sequential):
    def _update_metrics_variables(self, metrics, loss, *args):
        logs, metrics = super()._update_metrics_variables(metrics, 3 * loss, *args)
        return {**logs, "thrice": logs["loss"] + 0.0}, metrics


METHODS = [Tripled, TripledLoss, TripledOutputs, TripledMetrics]


def mixin_of(kind):
    class Mixed(keras_zsharp.SharpnessAwareTraining, kind):
        pass

    def make(rule):
        model = Mixed(rule=rule)
        for layer in layers():
            model.add(layer)
        return model

    return make


WAYS = {
    "in place": lambda kind: lambda rule: keras_zsharp.sharpness_aware(kind(layers()), rule),
    "mixin": mixin_of,
    "wrapper": lambda kind: lambda rule: keras_zsharp.SharpnessAwareModel(kind(layers()), rule),
}


def layers():
    return [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]


def weights_after(model):
    networks.trained(networks.compiled(model, keras.optimizers.SGD(0.01)), examples=64)
    return networks.copied(model.trainable_variables)


@pytest.mark.parametrize("way", ["in place", "mixin"])
@pytest.mark.parametrize("kind", METHODS)
def test_an_overridden_method_is_called_as_in_plain_keras(kind, way):
    plain, own = kind(layers()), WAYS[way](kind)(keras_zsharp.SAM(0.0))
    own.build((None, 8, 8, 1))
    own.set_weights([*plain.get_weights(), *own.get_weights()[len(plain.weights) :]])
    expected = weights_after(plain)
    for ours, theirs in zip(weights_after(own), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("way", ["in place", "mixin"])
def test_the_logs_are_those_of_plain_keras(way):
    kind = TripledMetrics
    plain, own = kind(layers()), WAYS[way](kind)(keras_zsharp.SAM(0.0))
    own.build((None, 8, 8, 1))
    own.set_weights(plain.get_weights())
    logs = []
    for model in (plain, own):
        networks.compiled(model, metrics=["accuracy"])
        data = networks.data(64)
        found = networks.trained(model, examples=64, validation_data=data)
        found |= model.train_on_batch(*data, return_dict=True)
        found |= {"tested": model.evaluate(*data, verbose=0)}
        logs.append(found)
    assert logs[1].pop("sharpness") == 0.0
    assert logs[1] == logs[0]
    assert "thrice" in logs[0]


@pytest.mark.parametrize("kind", [Tripled, TripledLoss])
def test_a_tripled_loss_is_that_of_thrice_the_rate(kind):
    """SAM's direction is that of the gradient: a factor of the loss changes nothing in it."""
    model = WAYS["in place"](kind)("sam")
    other = keras_zsharp.sharpness_aware(keras.Sequential(layers()), "sam")
    other.set_weights(model.get_weights())
    networks.compiled(other, keras.optimizers.SGD(0.03))
    networks.trained(other, examples=64)
    for ours, theirs in zip(weights_after(model), other.trainable_variables, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", METHODS)
def test_a_wrapper_calls_it_or_refuses(kind):
    if kind is not TripledOutputs:
        with pytest.raises(ValueError, match="must not override `"):
            WAYS["wrapper"](kind)("sam")
        return
    plain, own = kind(layers()), WAYS["wrapper"](kind)(keras_zsharp.SAM(0.0))
    own.model.set_weights(plain.get_weights())
    for ours, theirs in zip(weights_after(own), weights_after(plain), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_wrapper_that_overrides_call_is_called():
    class Doubling(keras_zsharp.SharpnessAwareModel):
        def call(self, inputs, training=None):
            return 2 * self.model(inputs)

    net = keras.Sequential(layers())
    model = networks.compiled(Doubling(net, "sam"))
    x, y = networks.data(32)
    logits = 2 * net.predict(x, verbose=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, logits)
    assert model.train_on_batch(x, y)[0] == pytest.approx(float(loss), rel=1e-5)


def test_a_variable_without_a_place_in_the_state_is_an_error():
    class Forgetful(keras_zsharp.SharpnessAwareTraining, keras.Model):
        @property
        def variables(self):
            return [v for v in super().variables if "rho" not in v.path]

        def build(self, input_shape):
            self.dense = keras.layers.Dense(1)

        def call(self, inputs):
            return self.dense(inputs)

    model = Forgetful(rule="sam")
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"`model.variables`.*Received: .*without \['.*rho'\]"):
        model.fit(np.ones((2, 1)), np.ones((2, 1)), verbose=0)


def test_nnx_is_refused(monkeypatch):
    monkeypatch.setattr(keras.config, "is_nnx_enabled", lambda: True)
    model = networks.compiled(keras_zsharp.sharpness_aware(keras.Sequential(layers()), "sam"))
    with pytest.raises(ValueError, match=r"NNX mode\. Unset .*KERAS_NNX_ENABLED"):
        networks.trained(model, examples=32)

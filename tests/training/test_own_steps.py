"""A class with a step of its own trains with the two-pass step, or not at all."""

import re

import keras
import numpy as np
import pytest
from keras import layers

from keras_zsharp import SAM, SharpnessAwareModel, SharpnessAwareTraining, sharpness_aware
from tests.training.cases import BACKEND, MODES, OUTSIDE_XLA, assert_same, normal

X, Y = normal(5), normal(1)


class Net(SharpnessAwareTraining, keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.head = layers.Dense(1)

    def call(self, inputs):
        return self.head(inputs)


class Logging(Net):
    def train_step(self, *args):
        logs = super().train_step(*args)
        if BACKEND == "jax":
            logs, state = logs
            return {**logs, "half": logs["loss"] / 2}, state
        return {**logs, "half": logs["loss"] / 2}


class Twice(Logging):
    def train_step(self, *args):
        result = super().train_step(*args)
        return self._again(*((result[1], args[1]) if BACKEND == "jax" else args))

    def _again(self, *args):
        return super().train_step(*args)


def plain_step(self, *args):
    return keras.Model.train_step(self, *args)


class Plain(Net):
    """Its `super()` is Keras' step, not ours."""

    train_step = plain_step


class PlainAgain(Logging):
    def train_step(self, *args):
        return plain_step(self, *args)


def compiled(model, mode):
    keras.utils.set_random_seed(0)
    model.compile(keras.optimizers.SGD(0.1), "mse", **MODES[mode])
    return model


@pytest.mark.parametrize("mode", OUTSIDE_XLA)
def test_a_step_that_comes_to_ours_is_sharpness_aware(mode):
    """With what it adds to the logs."""
    ends = []
    for cls, steps in ((Net, 1), (Logging, 1), (Twice, 2)):
        model = compiled(cls(rule=SAM(rho=0.5)), mode)
        logs = model.fit(X, Y, batch_size=12, verbose=0).history
        assert logs["sharpness"][0] > 0
        assert ("half" in logs) == (cls is not Net)
        assert logs.get("half", [logs["loss"][0] / 2]) == pytest.approx([logs["loss"][0] / 2])
        assert int(model.optimizer.iterations) == steps
        ends.append(model.head.get_weights())
    assert_same(ends[0], ends[1])
    assert (ends[1][0] != ends[2][0]).any()


@pytest.mark.parametrize("mode", OUTSIDE_XLA)
@pytest.mark.parametrize("cls", [Plain, PlainAgain])
def test_a_step_that_does_not_is_refused(cls, mode):
    model = compiled(cls(rule=SAM(rho=5.0)), mode)
    with pytest.raises(TypeError, match=r"train_step` must call `super\(\)\.train_step\(data\)`"):
        model.fit(X, Y, verbose=0)


def loop(self, *batch, **kwargs):
    """As `fit` before there was a `train_step`."""
    if not self.built:
        self(batch[0])
    step_alone(self)


def step_alone(self):
    weights = self.trainable_variables
    self.optimizer.apply([keras.ops.ones(v.shape) for v in weights], weights)


def loop_on_an_iterator(self, force=False):
    def train_function(*args):
        if BACKEND != "jax":
            return step_alone(self) or {}
        weights, others, optimizer, metrics = args[0]
        gradients = [keras.ops.ones(w.shape) for w in weights]
        weights, optimizer = self.optimizer.stateless_apply(optimizer, gradients, weights)
        return {}, (weights, others, optimizer, metrics)

    self.train_function = train_function


class Own(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.head = layers.Dense(1)

    def call(self, inputs):
        return self.head(inputs)


LOOPS = {"fit": loop, "train_on_batch": loop, "make_train_function": loop_on_an_iterator}
BASES = {"in place": Own, "mixin": Net}


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_that_does_not_come_to_ours_is_refused(name, base):
    cls = type("Loop", (BASES[base],), {name: LOOPS[name]})
    rule = SAM(rho=5.0)
    model = sharpness_aware(cls(), rule) if base == "in place" else cls(rule=rule)
    compiled(model, "eager")
    called = "train_on_batch" if name == "train_on_batch" else "fit"
    with pytest.raises(TypeError, match=rf"Loop\.{called}` must train by `train_step`"):
        getattr(model, called)(X, Y)


@pytest.mark.parametrize("base", BASES)
def test_a_fit_that_comes_to_ours_trains(base):
    def fit(self, x, y, **kwargs):
        return super(cls, self).fit(2 * x, y, **kwargs)

    cls = type("Scaled", (BASES[base],), {"fit": fit})
    rule = SAM(rho=0.5)
    model = sharpness_aware(cls(), rule) if base == "in place" else cls(rule=rule)
    compiled(model, "graph")
    for epochs in (1, 2, 0):
        history = model.fit(X, Y, epochs=epochs, verbose=0).history
        assert len(history.get("sharpness", ())) == epochs


class VAE(keras.Model):
    train_step = plain_step


class OfVAE(VAE):
    pass


@pytest.mark.parametrize("base", [VAE, OfVAE])
def test_a_step_that_would_be_hidden_is_refused(base):
    message = (
        "`Sharp` must not hide the `train_step` of `VAE`, which would not be called. Override "
        "`compute_loss` in `VAE` instead"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        type("Sharp", (SharpnessAwareTraining, base), {})


def test_what_the_advice_says_works():
    """An autoencoder whose loss is its own, and that of its latent values."""

    class Autoencoder(SharpnessAwareTraining, keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.encoder, self.decoder = layers.Dense(2), layers.Dense(5)

        def call(self, inputs):
            latent = self.encoder(inputs)
            return {"decoded": self.decoder(latent), "latent": latent}

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            error = keras.ops.mean(keras.ops.square(x - y_pred["decoded"]))
            return error + 0.1 * keras.ops.mean(keras.ops.square(y_pred["latent"]))

    model = Autoencoder(rule="sam")
    model.compile("adamw")
    history = model.fit(X, epochs=5, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert np.all(np.array(history["sharpness"]) > 0)


def test_the_wrapper_is_one_of_them():
    assert issubclass(SharpnessAwareModel, SharpnessAwareTraining)
    assert SharpnessAwareModel.train_step is SharpnessAwareTraining.train_step

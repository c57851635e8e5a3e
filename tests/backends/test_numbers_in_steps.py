"""The rule's numbers and the step's options, read or set in a step of one's own.

A step of JAX is a function of a state: what is read or set beside it would be lost without a word.
"""

import functools

import keras
import numpy as np
import pytest

from keras_zsharp import SAM, SharpnessAwareTraining, sharpness_aware
from tests.backends import networks, ways

BACKEND = keras.backend.backend()
X = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
Y = np.ones((12, 2), "float32")
FALLING = keras.optimizers.schedules.PolynomialDecay(0.5, 10)


def with_method(name, before, after=lambda self: None):
    """A model class whose method of that name does something before and after Keras' own."""

    of_keras = getattr(ways.Mixed, name)

    @functools.wraps(of_keras)
    def method(self, *args, **kwargs):
        before(self)
        result = of_keras(self, *args, **kwargs)
        after(self)
        return result

    return type("Own", (ways.Mixed,), {name: method})


def read(self):
    assert self.rule.rho is not None


def set_rho(self):
    self.rule.rho = 0.25


def set_option(self):
    self.perturb_every = 2


def set_rule(self):
    self.rule = "sam"


def made(cls, rule=None, **mode):
    keras.utils.set_random_seed(0)
    model = cls(rule=rule or SAM(rho=0.5))
    model.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"], **mode)
    return model


def trained(model):
    history = model.fit(X, Y, batch_size=6, epochs=2, shuffle=False, verbose=0).history
    tested = model.evaluate(X, Y, batch_size=4, verbose=0)
    model.train_on_batch(X, Y)
    assert int(model.optimizer.iterations) == 5
    return history, tested, networks.copied(model.weights)


def assert_equal(ours, theirs):
    for one, other in zip(keras.tree.flatten(ours), keras.tree.flatten(theirs), strict=True):
        np.testing.assert_array_equal(one, other)


IN_EVERY_MODE = pytest.mark.parametrize("mode", [{"run_eagerly": True}, {}], ids=["eager", "auto"])


@IN_EVERY_MODE
@pytest.mark.parametrize("name", ["train_step", "test_step", "compute_loss", "call"])
def test_a_number_that_is_read_changes_nothing(name, mode):
    model = made(with_method(name, read, read), **mode)
    if BACKEND == "jax" and not mode and name in ("train_step", "test_step"):
        with pytest.raises(RuntimeError, match="`rho` cannot be read here in a step on JAX"):
            trained(model)
        assert model.rule.rho == 0.5
        return
    assert_equal(trained(model), trained(made(ways.Mixed, **mode)))


@IN_EVERY_MODE
def test_what_jax_hands_to_metrics_has_no_rho(mode):
    model = made(with_method("compute_metrics", read), **mode)
    if BACKEND == "jax":
        with pytest.raises(RuntimeError, match="`rho` cannot be read here in a step on JAX"):
            trained(model)
        return
    assert_equal(trained(model), trained(made(ways.Mixed, **mode)))


@IN_EVERY_MODE
@pytest.mark.parametrize("set_it", [set_rho, set_option, set_rule])
def test_what_is_set_in_a_step_is_in_force_or_refused(set_it, mode):
    model = made(with_method("train_step", set_it), **mode)
    if BACKEND == "jax" or (BACKEND == "tensorflow" and not mode):
        with pytest.raises(RuntimeError, match=r"Set (it|them) in a callback"):
            model.train_on_batch(X, Y)
        assert (model.rule.rho, model.perturb_every) == (0.5, 1)
        return
    trained(model)
    assert (model.rule.rho, model.perturb_every) != (0.5, 1)


@IN_EVERY_MODE
def test_a_schedule_is_read_where_its_step_is_known(mode):
    model = made(with_method("compute_loss", read), SAM(FALLING), **mode)
    if BACKEND == "jax":
        with pytest.raises(RuntimeError, match="`rho` cannot be read here in a step on JAX"):
            trained(model)
        return
    assert_equal(trained(model), trained(made(ways.Mixed, SAM(FALLING), **mode)))


@IN_EVERY_MODE
def test_in_place(mode):
    class Reading(ways.Subclass):
        def compute_loss(self, *args, **kwargs):
            if not isinstance(self, SharpnessAwareTraining):
                return super().compute_loss(*args, **kwargs)
            read(self)
            return super().compute_loss(*args, **kwargs)

    ends = [
        trained(made(lambda rule, cls=cls: sharpness_aware(cls(), rule), **mode))
        for cls in (Reading, ways.Subclass)
    ]
    assert_equal(*ends)


def test_a_state_that_a_step_puts_back_itself_is_not_lost():
    if BACKEND != "jax":
        pytest.skip("JAX alone has a state that can be put back")
    model = made(with_method("train_step", lambda self: self.jax_state_sync()), run_eagerly=True)
    assert_equal(trained(model), trained(made(ways.Mixed, run_eagerly=True)))

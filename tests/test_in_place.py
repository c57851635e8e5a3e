"""A model made sharpness-aware in place takes the two-pass step, and does all else as before."""

import copy
import pickle
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_zsharp
from keras_zsharp import FriendlySAM, SharpnessAwareModel, plain, sharpness_aware
from tests.backends.networks import copied
from tests.still import still
from tests.tiers import crossed
from tests.training.cases import (
    BACKEND,
    CASES,
    MODES,
    OUTSIDE_XLA,
    assert_same,
    normal,
    skip_in_the_lowest_version,
)
from tests.training.running import build, compiled, fit

X, Y = normal(5), normal(1)
OPTIONS = {
    "perturb_every": 2,
    "micro_batches": 2,
    "skip_nonfinite": True,
    "perturbation_sync": "global",
}


@keras.saving.register_keras_serializable("tests.in_place")
class Preprocessing(keras.Model):
    """Has methods of its own for nearly all there is, as KerasHub's tasks do."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.head = layers.Dense(units, activation="tanh"), layers.Dense(1)
        self.error = keras.metrics.Mean(name="error")

    def call(self, inputs):
        return self.head(self.hidden(inputs))

    def fit(self, x, y=None, **kwargs):
        return super().fit(np.array(x, "float32"), y, **kwargs)

    def evaluate(self, x, y=None, **kwargs):
        return super().evaluate(np.array(x, "float32"), y, **kwargs)

    def predict(self, x, **kwargs):
        return super().predict(np.array(x, "float32"), **kwargs)

    def compile(self, optimizer="sgd", loss="mse", **kwargs):
        super().compile(optimizer, loss, **kwargs)

    @property
    def metrics(self):
        return [self.error]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        self.error.update_state(ops.mean(ops.abs(y - y_pred)))
        return 2.0 * super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return {**self.get_metrics_result(), "mine": 7.0}

    def test_step(self, *args):
        return of_step(lambda logs: {**logs, "tested": 1.0}, super().test_step(*args))

    def predict_step(self, *args):
        return of_step(lambda outputs: 10.0 * outputs, super().predict_step(*args))


def of_step(change, result):
    """What a step returns, changed; JAX's returns a state, too."""
    return (change(result[0]), result[1]) if BACKEND == "jax" else change(result)


STRINGS = [[str(number) for number in row] for row in X]


def trained(wrap, mode="eager"):
    keras.utils.set_random_seed(0)
    model = wrap(Preprocessing())
    model.compile(run_eagerly=mode == "eager")
    history = model.fit(STRINGS, Y, epochs=2, batch_size=4, shuffle=False, verbose=0).history
    tested = model.evaluate(STRINGS, Y, verbose=0, return_dict=True)
    weights = copied([*model.hidden.weights, *model.head.weights])
    return model, history, [*tested.values(), model.predict(STRINGS, verbose=0), *weights]


@pytest.mark.parametrize("mode", OUTSIDE_XLA)
def test_methods_of_its_own_are_called(mode):
    _, history, ends = trained(lambda net: net, mode)
    model, ours, our_ends = trained(lambda net: sharpness_aware(net, still()), mode)
    assert isinstance(model, Preprocessing)
    assert ours.pop("sharpness") == [0.0, 0.0]
    # Both passes tell its own metric.
    assert ours["mine"] == history["mine"] == [7.0, 7.0]
    for one, other in zip(ends[2:], our_ends[2:], strict=True):
        np.testing.assert_allclose(one, other, rtol=0 if mode == "eager" else 1e-5)
    assert len(ends) == len(our_ends)


@pytest.mark.parametrize(
    "name",
    crossed(
        [name for name in CASES if name != "spectral"],
        default=["unbuilt_sequential", "subclassed", "dict_outputs"],
    ),
)
def test_without_radius_equals_plain_keras(name):
    """To the bit; built or not, compiled before or after."""
    ends = []
    for wrap in (lambda net: net, lambda net: sharpness_aware(net, still())):
        model = compiled(wrap(build(name)), name, run_eagerly=True)
        history = fit(model, name)
        rule = {id(v) for v in getattr(model, "rule", layers.Identity()).variables}
        ends.append([history["loss"], *copied(v for v in model.weights if id(v) not in rule)])
    assert_same(*ends)


def last_alone(self):
    return self.layers[-1].trainable_weights


def of_the_kernel(self):
    return [0.1 * ops.mean(ops.square(layer.kernel)) for layer in self.layers if layer.built]


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("trainable_weights", last_alone),
        pytest.param(
            "trainable_variables",
            last_alone,
            marks=pytest.mark.skipif(BACKEND == "torch", reason="plain Keras fails with it"),
        ),
        ("losses", of_the_kernel),
    ],
)
def test_what_a_model_says_of_its_weights_and_losses_counts(name, listed):
    """In place as in plain Keras; a wrapper refuses it."""
    ends = []
    for way in (lambda net: net, lambda net: sharpness_aware(net, still())):
        keras.utils.set_random_seed(0)
        own = type("Own", (keras.Sequential,), {name: property(listed)})
        net = own([layers.Dense(4), layers.Dense(1)])
        net(X)
        model = way(net)
        model.compile("sgd", "mse", run_eagerly=True)
        history = model.fit(X, Y, epochs=2, verbose=0, shuffle=False).history
        ends.append([history["loss"], *copied(w for part in net.layers for w in part.weights)])
    assert_same(*ends)
    with pytest.raises(ValueError, match=f"`model` must not override `{name}`"):
        SharpnessAwareModel(own([layers.Dense(1)]))


@pytest.mark.parametrize("mode", OUTSIDE_XLA)
def test_it_steps_as_the_wrapper_does(mode):
    ends = []
    for wrap in (SharpnessAwareModel, sharpness_aware):
        net = build("regularized")
        model = compiled(wrap(net, FriendlySAM(rho=0.5)), "regularized", **MODES[mode])
        history = fit(model, "regularized")
        layers_of = net.layers if wrap is sharpness_aware else model.model.layers
        weights = copied(v for layer in layers_of for v in layer.trainable_weights)
        ends.append([history["loss"], history["sharpness"], *weights])
        assert history["sharpness"][0] > 0
    assert_same(*ends)


def test_a_model_that_has_trained_goes_on():
    """Its optimizer's state, its place in the data and its compiled metrics stay."""
    net = compiled(build("regularized"), "regularized")
    fit(net, "regularized")
    slots, names = len(net.optimizer.variables), [v.path for v in net.trainable_variables]
    model = sharpness_aware(net, "sam")
    assert model is net
    history = fit(model, "regularized")
    assert history["sharpness"][0] > 0
    assert int(model.optimizer.iterations) == 6
    assert len(model.optimizer.variables) == slots
    assert [v.path for v in model.trainable_variables] == names


@keras.saving.register_keras_serializable("tests.in_place")
class Subclass(keras.Model):
    """As Keras saves and loads one: it builds its layers."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.head = layers.Dense(units, activation="tanh"), layers.Dense(1)

    def build(self, input_shape):
        self.hidden.build(input_shape)
        self.head.build((None, self.hidden.units))

    def call(self, inputs):
        return self.head(self.hidden(inputs))

    def get_config(self):
        return {**super().get_config(), "units": self.hidden.units}


def functional():
    return build("regularized")


def unbuilt():
    return keras.Sequential([layers.Dense(3), layers.Dense(1)])


MAKE = {"functional": functional, "unbuilt": unbuilt, "subclass": lambda: Subclass(units=4)}
every_kind = pytest.mark.parametrize("kind", crossed(MAKE, default=["functional"]))


def used(kind):
    keras.utils.set_random_seed(0)
    model = sharpness_aware(MAKE[kind](), FriendlySAM(rho=0.5, sigma=0.5), **OPTIONS)
    model.compile("adamw", "mse")
    model.fit(X, Y, batch_size=4, shuffle=False, verbose=0)
    model.rule.rho = 0.25
    return model


def assert_equal_models(one, other):
    assert type(other).own_class is type(one).own_class
    assert other.step_options == one.step_options
    assert other.rule.get_config() == one.rule.get_config()
    assert_same(*(copied(m.variables) for m in (one, other)))
    assert_same(one.predict(X, verbose=0), other.predict(X, verbose=0))


@every_kind
def test_saved_loaded_copied_and_pickled(kind, tmp_path):
    model = used(kind)
    model.save(tmp_path / "model.keras")
    others = [keras.saving.load_model(tmp_path / "model.keras")]
    others += [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for other in others:
        assert_equal_models(model, other)
    for each in (model, *others):
        each.fit(X, Y, batch_size=4, shuffle=False, verbose=0)
    for other in others:
        assert_equal_models(model, other)
        assert_same(*(copied(m.optimizer.variables) for m in (model, other)))


@every_kind
def test_cloned(kind):
    model = used(kind)
    if kind == "functional":
        skip_in_the_lowest_version("clones every functional model to a plain one")
        clone = keras.models.clone_model(model)
    else:
        # Of a subclass of Sequential Keras makes a Sequential, and of one of Model nothing.
        clone = type(model).from_config(model.get_config())
    assert clone.step_options == model.step_options
    assert clone.rule.get_config()["rho"] == 0.25
    assert clone.rule is not model.rule
    clone.compile("sgd", "mse")
    assert clone.fit(X, Y, verbose=0).history["sharpness"][0] > 0


@every_kind
def test_plain_again(kind, tmp_path):
    model = used(kind)
    rule, own = model.rule, type(model).own_class
    expected = model.predict(X, verbose=0)
    assert plain(model) is model
    assert type(model) is own
    assert not hasattr(model, "rule")
    assert not [v for v in model.variables if "sam" in v.path]
    assert_same(model.predict(X, verbose=0), expected)
    assert "sharpness" not in model.fit(X, Y, verbose=0).history
    model.save(tmp_path / "plain.keras")
    assert type(keras.saving.load_model(tmp_path / "plain.keras")) is own
    sharpness_aware(model, rule)
    assert "sharpness" in model.fit(X, Y, verbose=0).history


def test_plain_of_a_wrapper_and_of_others():
    net = unbuilt()
    assert plain(SharpnessAwareModel(net, "sam")) is net
    with pytest.raises(TypeError, match=r"^`model` must be what `sharpness_aware` returned"):
        plain(net)


LOAD = """
import sys, numpy as np, keras, keras_zsharp
model = keras.saving.load_model(sys.argv[1])
assert model.rule.rho == 0.25, model.rule.rho
assert model.perturb_every == 2
np.save(sys.argv[2], model.predict(np.load(sys.argv[3]), verbose=0))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["functional", "unbuilt"])
def test_loaded_in_another_process(kind, tmp_path):
    model, files = used(kind), [tmp_path / name for name in ("m.keras", "out.npy", "x.npy")]
    model.save(files[0])
    np.save(files[2], X)
    subprocess.run([sys.executable, "-c", LOAD, *files], check=True)
    np.testing.assert_allclose(np.load(files[1]), model.predict(X, verbose=0), rtol=1e-5)


class OwnStep(keras.Model):
    def train_step(self, data):
        return {}


class WithAMethod(keras.Model):
    def micro_batches(self):
        return []


def with_own(**attributes):
    model = unbuilt()
    for name, value in attributes.items():
        setattr(model, name, value)
    return model


class TfKeras:
    __module__ = "tf_keras.src.engine.training"


@pytest.mark.parametrize(
    ("make", "options", "error", "message"),
    [
        (
            OwnStep,
            {"rule": "sam"},
            TypeError,
            "`SharpnessAwareOwnStep` must not hide the `train_step` of",
        ),
        (lambda: layers.Dense(1), {}, TypeError, "`model` must be a keras.Model"),
        (TfKeras, {}, TypeError, "`model` must be a keras.Model"),
        (lambda: sharpness_aware(unbuilt(), "sam"), {}, ValueError, "`model` must not be sharp"),
        (lambda: SharpnessAwareModel(unbuilt(), "sam"), {}, ValueError, "`model` must not be"),
        (lambda: with_own(rule="mine"), {}, ValueError, "`model` must not have `rule` of its own"),
        (lambda: with_own(skipping=1), {}, ValueError, "`model` must not have `skipping` of"),
        (WithAMethod, {}, ValueError, "`model` must not have `micro_batches` of its own"),
        (unbuilt, {"rule": "flat"}, ValueError, "`rule` must be one of"),
        (unbuilt, {"perturb_every": 0}, ValueError, "`perturb_every` must be an int >= 1"),
        (unbuilt, {"rho": 0.1}, TypeError, "`sharpness_aware` must get arguments .* Received: rho"),
        (unbuilt, {"perturb_evry": 2}, TypeError, ".*evry. Did you mean 'perturb_every'\\?"),
    ],
)
def test_refused_and_left_as_it_was(make, options, error, message):
    model = make()
    before, attributes = type(model), set(vars(model))
    with pytest.raises(error, match="^" + (message if ".*" in message else re.escape(message))):
        sharpness_aware(model, **options)
    assert type(model) is before
    assert set(vars(model)) == attributes


def test_a_rule_of_another_model_is_refused():
    owner, net = SharpnessAwareModel(unbuilt(), "sam"), unbuilt()
    rule = owner.rule
    with pytest.raises(ValueError, match=r"^`rule` must not belong to another model"):
        sharpness_aware(net, rule)
    assert type(net) is keras.Sequential


def test_public():
    assert {"sharpness_aware", "plain"} <= set(keras_zsharp.__all__)

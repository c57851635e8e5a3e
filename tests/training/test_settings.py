"""The rule and the settings of the step: checked, in force from the next step on, and saved."""

import dataclasses
import re

import keras
import numpy as np
import pytest
from keras import layers

from keras_zsharp import (
    ASAM,
    SAM,
    FriendlySAM,
    Rule,
    SharpnessAwareModel,
    SharpnessAwareTraining,
)
from keras_zsharp.rules.hyperparameter import Hyperparameter
from keras_zsharp.training import StepOptions
from tests.rules.rules import RULES, again, every_rule
from tests.tiers import crossed
from tests.training.cases import MODES, OUTSIDE_XLA, assert_same, normal, traced
from tests.training.running import build

X, Y = normal(5), normal(1)
SETTINGS = {
    "rule": lambda: FriendlySAM(rho=1.0, sigma=0.5),
    "perturb_every": lambda: 3,
    "micro_batches": lambda: 2,
    "skip_nonfinite": lambda: True,
    "perturbation_sync": lambda: "global",
    "perturb_from": lambda: 1,
    "perturb_only": lambda: "kernels",
    "batched_inputs": lambda: "all",
    "mean_of_parts": lambda: True,
    "ascent_fraction": lambda: 0.5,
}
"""Each other than the default."""


@keras.saving.register_keras_serializable("tests.settings")
class Net(SharpnessAwareTraining, keras.Model):
    """Leaves it to Keras to find out what its constructor was given."""

    def __init__(self, units=3, rule="sam", **kwargs):
        super().__init__(rule=rule, **kwargs)
        self.hidden, self.head = layers.Dense(units, activation="tanh"), layers.Dense(1)

    def call(self, inputs):
        return self.head(self.hidden(inputs))


@keras.saving.register_keras_serializable("tests.settings")
class OfOneRule(Net):
    """Its constructor has no argument for what is set later."""

    def __init__(self, units=3, **kwargs):
        super().__init__(units, rule="asam", **kwargs)


@keras.saving.register_keras_serializable("tests.settings")
class WithConfig(Net):
    def get_config(self):
        return {**super().get_config(), "units": self.hidden.units}


class WithOwnConfig(keras.Model):
    """Is given what Keras could not save, and takes care of it itself."""

    def __init__(self, activation=keras.ops.tanh, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.head = layers.Dense(3, activation=activation), layers.Dense(1)

    def call(self, inputs):
        return self.head(self.hidden(inputs))

    def get_config(self):
        return super().get_config()


@keras.saving.register_keras_serializable("tests.settings")
class Inheriting(SharpnessAwareTraining, WithOwnConfig):
    pass


@keras.saving.register_keras_serializable("tests.settings")
class OfInheriting(Inheriting):
    pass


def wrapped(rule="zsharp", **arguments):
    return SharpnessAwareModel(build("regularized"), rule, **arguments)


MAKE = {
    "wrapper": wrapped,
    "mixin": Net,
    "of one rule": OfOneRule,
    "with config": WithConfig,
    "inheriting": lambda: Inheriting(rule="zsharp", activation=lambda x: keras.ops.tanh(x)),
    "of inheriting": lambda: OfInheriting(rule="zsharp", activation=lambda x: keras.ops.tanh(x)),
}


def compiled(model, mode="graph"):
    model.compile(keras.optimizers.SGD(0.1), "mse", **MODES[mode])
    return model


def test_every_option_is_here():
    defaults = {field.name: field.default for field in dataclasses.fields(StepOptions)}
    assert SETTINGS.keys() - {"rule"} == defaults.keys()
    assert all(SETTINGS[name]() != default for name, default in defaults.items())


@pytest.mark.parametrize("mode", crossed(OUTSIDE_XLA, default=["graph"]))
@pytest.mark.parametrize("name", SETTINGS)
def test_in_force_from_the_next_step(name, mode):
    """As in a model that is made with the setting, and goes on from where the first one was."""
    first, x = compiled(wrapped(rule=SAM(rho=0.5)), mode), X.copy()
    first.train_on_batch(X, Y)
    if name == "skip_nonfinite":
        x[0] = np.nan
    setting = {"rule": SAM(rho=0.5), name: SETTINGS[name]()}
    second = compiled(wrapped(**setting), mode)
    second.model.set_weights(first.model.get_weights())
    second.optimizer.iterations.assign(1)
    setattr(first, name, SETTINGS[name]())
    for model in (first, second):
        model.reset_metrics()
    before = first.model.get_weights()
    logs = [model.train_on_batch(x, Y, return_dict=True) for model in (first, second)]
    np.testing.assert_array_equal(*([*log.values()] for log in logs))
    assert_same(first.model.get_weights(), second.model.get_weights())
    if name == "skip_nonfinite":
        assert_same(first.model.get_weights(), before)


def test_in_force_in_the_middle_of_fit():
    model, seen = compiled(wrapped(rule=SAM(rho=0.5))), []

    class Change(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(logs["sharpness"])
            if epoch == 0:
                self.model.rule = SAM(rho=0.0)
            if epoch == 1:
                self.model.rule.rho = 0.5
                self.model.perturb_every = 4

    model.fit(X, Y, batch_size=12, epochs=5, verbose=0, callbacks=[Change()])
    assert [value > 0 for value in seen] == [True, False, False, False, True]


@traced
def test_the_same_again_traces_nothing():
    model, traces = wrapped(rule="sam"), []
    model.compile("sgd", lambda y, y_pred: traces.append(1) or keras.ops.square(y - y_pred))
    model.train_on_batch(X, Y)
    del traces[:]
    model.rule, model.perturb_every = model.rule, 1
    model.train_on_batch(X, Y)
    assert not traces


@pytest.mark.parametrize("make", crossed(MAKE, default=["mixin", "of one rule"]))
def test_saved_as_they_are_set(make, tmp_path):
    model = compiled(MAKE[make]())
    model.fit(X, Y, verbose=0)
    for name, value in SETTINGS.items():
        setattr(model, name, value())
    model.rule.rho = 0.25
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    expected = StepOptions(**{n: value() for n, value in SETTINGS.items() if n != "rule"})
    assert loaded.step_options == model.step_options == expected
    assert loaded.rule.get_config() == model.rule.get_config()
    assert_same(*([v.numpy() for v in m.variables] for m in (loaded, model)))
    assert_same(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


@pytest.mark.parametrize("make", MAKE)
def test_a_clone_has_them(make):
    model = MAKE[make]()
    model(X)
    model.rule, model.micro_batches = ASAM(rho=0.75), 3
    clone = type(model).from_config(model.get_config())
    assert clone.step_options == model.step_options
    assert clone.rule.get_config() == model.rule.get_config()


def test_a_config_without_them_is_refused():
    with pytest.raises(ValueError, match=r"^`config` must have the rule and settings of a `Net`"):
        Net.from_config({"units": 3})


@pytest.mark.parametrize("value", [layers.Dense(1), SAM, "flat", 3, None])
def test_what_is_no_rule_is_refused_and_leaves_nothing(value):
    model = compiled(wrapped(rule="sam"))
    model.train_on_batch(X, Y)
    rule, variables = model.rule, [id(v) for v in model.variables]
    with pytest.raises((TypeError, ValueError), match=r"^`rule` must be"):
        model.rule = value
    assert model.rule is rule
    assert [id(v) for v in model.variables] == variables
    model.train_on_batch(X, Y)


def test_a_rule_has_one_model_at_a_time():
    first, second = wrapped(rule="sam"), wrapped(rule="asam")
    rule = first.rule
    with pytest.raises(ValueError, match=r"^`rule` must not belong to another model"):
        second.rule = rule
    assert isinstance(second.rule, ASAM)
    first.rule = "zsharp"
    second.rule = rule
    assert [v for v in first.variables if v.path.startswith(f"{rule.name}/")] == []


INT, STRING = "an int", "a string"
MISTAKES = [
    *(
        (name, value, TypeError, INT)
        for name in ("perturb_every", "micro_batches")
        for value in (1.0, True, np.True_, "2", None, np.float32(2), [1], np.ones(1))
    ),
    *(
        (name, value, ValueError, "an int >= 1")
        for name in ("perturb_every", "micro_batches")
        for value in (0, -1, np.int64(0))
    ),
    *(("skip_nonfinite", value, TypeError, "a bool or None") for value in (0, "yes", 1.0)),
    *(("perturbation_sync", value, TypeError, STRING) for value in (True, 2)),
    ("perturbation_sync", "all", ValueError, "'replica' or 'global'"),
]


@pytest.mark.parametrize(("name", "value", "error", "bound"), MISTAKES)
def test_mistakes_are_refused_when_made_and_when_set(name, value, error, bound):
    received = re.escape(f"Received: {name}={value!r}")
    message = rf"^`{name}` must be {re.escape(bound)}\. {received}( of type .*)?$"
    if isinstance(value, np.integer):
        message = rf"^`{name}` must be {re.escape(bound)}\. Received: {name}={value}$"
    with pytest.raises(error, match=message):
        wrapped(**{name: value})
    model = wrapped()
    with pytest.raises(error, match=message):
        setattr(model, name, value)
    assert model.step_options == StepOptions()


def test_step_options_can_be_set_together():
    model = wrapped()
    model.step_options = StepOptions(perturb_every=2, micro_batches=3)
    assert (model.perturb_every, model.micro_batches) == (2, 3)
    with pytest.raises(TypeError, match=r"^`step_options` must be `StepOptions`\. Received: {"):
        model.step_options = {"perturb_every": 2}
    assert (model.perturb_every, model.micro_batches) == (2, 3)


class WithAHelper(Rule):
    """Its constructor sets an argument twice."""

    def __init__(self, rho=0.1, floor=1.0):
        super().__init__(rho)
        self.floor = floor
        self.at_least(2.0)

    def at_least(self, floor):
        self.floor = max(self.floor, floor)


class SetsARule:
    def __init__(self, rule):
        rule.floor = float("nan")


def test_a_constructor_may_set_an_argument_again_and_no_other_may():
    rule = WithAHelper()
    assert rule.floor == 2.0
    for assign in (lambda: rule.at_least(3.0), lambda: SetsARule(rule)):
        with pytest.raises(TypeError, match="`floor` of this WithAHelper cannot be assigned once"):
            assign()
    assert rule.floor == 2.0


@keras.saving.register_keras_serializable("tests.settings")
class WithAPerturbation(Net):
    """Has an argument of its own that is named as the rule was in version 0.2.0."""

    def __init__(self, perturbation=0.1, **kwargs):
        super().__init__(**kwargs)
        self.perturbation = perturbation

    def get_config(self):
        return {**super().get_config(), "perturbation": self.perturbation}


def test_an_argument_that_has_the_name_of_a_rule_in_older_files():
    model = WithAPerturbation(perturbation=0.2, rule="asam")
    again = WithAPerturbation.from_config(model.get_config())
    assert (again.perturbation, type(again.rule)) == (0.2, ASAM)


def test_bools_of_numpy_are_bools():
    model = wrapped(skip_nonfinite=np.bool_(True), mean_of_parts=np.bool_(True))
    assert model.skip_nonfinite is model.mean_of_parts is True


def test_ints_of_numpy_are_ints():
    model = wrapped(perturb_every=np.int64(2), micro_batches=np.array(3))
    assert (type(model.perturb_every), model.perturb_every) == (int, 2)
    assert (type(model.micro_batches), model.micro_batches) == (int, 3)
    model.perturb_every = np.uint8(4)
    assert model.get_config()["perturb_every"] == 4


@pytest.mark.parametrize("owned", [True, False])
@every_rule
def test_an_argument_that_a_step_is_compiled_with_cannot_be_assigned(name, owned):
    """Nor before there is a model: nothing would check it."""
    rule = again(RULES[name])
    given = rule.get_config()
    if owned:
        SharpnessAwareModel(keras.Sequential([keras.Input((5,)), layers.Dense(1)]), rule)
    for argument in given.keys() - {"name"}:
        if isinstance(getattr(type(rule), argument, None), Hyperparameter):
            continue
        with pytest.raises(TypeError, match=f"`{argument}` of this {type(rule).__name__} cannot"):
            setattr(rule, argument, given[argument])
    assert rule.get_config() == given

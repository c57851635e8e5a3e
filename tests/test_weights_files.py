"""Files of weights pass between a network, its wrapper and what `sharpness_aware` made of it."""

import itertools
import re

import h5py
import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_zsharp import SAM, SharpnessAwareModel, SharpnessAwareTraining, sharpness_aware
from tests.backends.networks import copied
from tests.rules.rules import RULES, fresh
from tests.tiers import crossed
from tests.training.cases import assert_same, normal

X, Y = normal(5), normal(1)


def functional():
    inputs = keras.Input((5,))
    hidden = layers.BatchNormalization()(layers.Dense(4, activation="tanh")(inputs))
    return keras.Model(inputs, layers.Dense(1)(layers.Dropout(0.3, seed=1)(hidden)))


def sequential():
    parts = [
        layers.Dense(4),
        layers.BatchNormalization(),
        layers.Dropout(0.3, seed=1),
        layers.Dense(1),
    ]
    return keras.Sequential([keras.Input((5,)), *parts])


class Subclassed(keras.Model):
    """Layers whose names stand before and after Keras' own, and a weight of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.body, self.noise, self.zenith = (
            layers.Dense(4),
            layers.Dropout(0.3, seed=1),
            layers.Dense(1),
        )
        self._hidden, self.model = layers.BatchNormalization(), layers.Dense(4)
        self.bias = self.add_weight(shape=(1,), name="bias")

    def call(self, inputs):
        return self.zenith(self.noise(self._hidden(self.model(self.body(inputs))))) + self.bias


class Mixed(SharpnessAwareTraining, Subclassed):
    pass


NETS = {"functional": functional, "sequential": sequential, "subclassed": Subclassed}
WAYS = {
    "plain": lambda net, rule: net,
    "wrapped": SharpnessAwareModel,
    "in_place": sharpness_aware,
    "mixin": lambda net, rule: Mixed(rule=rule),
}
PAIRS = list(itertools.product(WAYS, WAYS))
CELLS = [(n, *pair) for n in NETS for pair in PAIRS if n == "subclassed" or "mixin" not in pair]
DEFAULT = [
    ("subclassed", "plain", "wrapped"),
    ("subclassed", "wrapped", "in_place"),
    ("functional", "wrapped", "plain"),
]


def made(net, way, rule="friendly_sam", epochs=0):
    model = WAYS[way](NETS[net](), rule)
    model.compile(keras.optimizers.Adam(0.05), "mse")
    model(X)
    model.optimizer.build(model.trainable_variables)
    train(model, epochs)
    return model


def train(model, epochs=1):
    return model.fit(X, Y, epochs=epochs, shuffle=False, batch_size=4, verbose=0).history


def values(model):
    return copied([*model.variables, *model.optimizer.variables])


def predicted(model):
    return ops.convert_to_numpy(model(X, training=False))


@pytest.mark.parametrize(("net", "source", "target"), crossed(CELLS, default=DEFAULT))
def test_a_file_of_weights_passes(net, source, target, tmp_path):
    """And training goes on as it would have, to rule, optimizer and seeds."""
    first, second = made(net, source, epochs=2), made(net, target)
    first.save_weights(tmp_path / "run.weights.h5")
    second.load_weights(tmp_path / "run.weights.h5")
    assert_same(predicted(first), predicted(second))
    if "plain" not in (source, target):
        assert train(first) == train(second)
        assert_same(predicted(first), predicted(second))


ONE_OF_EACH_CLASS = {type(fresh(name)): name for name in RULES}.values()
CHANGES = [(*pair, "wrapped") for pair in itertools.permutations(ONE_OF_EACH_CLASS, 2)]
CHANGES += [("zsharp", "friendly_sam", "in_place"), ("friendly_sam", "zsharp", "in_place")]


@pytest.mark.parametrize(
    ("source", "target", "way"), crossed(CHANGES, default=[("zsharp", "friendly_sam", "in_place")])
)
def test_another_rule_keeps_its_own_state(source, target, way, tmp_path):
    first, second = (made("functional", way, fresh(rule)) for rule in (source, target))
    train(first)
    first.save_weights(tmp_path / "run.weights.h5")
    second.rule.rho = 0.125
    with pytest.warns(UserWarning, match=f"variables of {type(first.rule).__name__}, "):
        second.load_weights(tmp_path / "run.weights.h5")
    assert second.rule.rho == 0.125
    assert_same(predicted(first), predicted(second))
    assert np.isfinite(train(second)["sharpness"]).all()


@pytest.mark.matrix
def test_a_number_is_no_schedule(tmp_path):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
    scheduled = made("functional", "in_place", SAM(schedule))
    fixed = made("functional", "wrapped", SAM(0.25))
    scheduled.save_weights(tmp_path / "scheduled.weights.h5")
    fixed.save_weights(tmp_path / "fixed.weights.h5")
    fixed.load_weights(tmp_path / "scheduled.weights.h5")
    assert fixed.rule.rho == 0.25
    with pytest.warns(UserWarning, match="keeps its own"):
        scheduled.load_weights(tmp_path / "fixed.weights.h5")
    assert scheduled.rule.rho == 0.5


@pytest.mark.parametrize("way", ["wrapped", "in_place"])
def test_a_file_of_the_names_of_0_2_0(way, tmp_path):
    """The rule was `perturbation` there."""
    first, second = made("functional", way, epochs=1), made("functional", way)
    first.save_weights(tmp_path / "run.weights.h5")
    with h5py.File(tmp_path / "run.weights.h5", "a") as file:
        file.move("rule", "perturbation")
    second.load_weights(tmp_path / "run.weights.h5")
    assert_same(values(second), values(first))
    assert train(first) == train(second)


@pytest.mark.parametrize("way", crossed(list(WAYS)[1:], default=["wrapped"]))
def test_what_does_not_fit_is_not_half_loaded(way, tmp_path):
    model = made("subclassed", way, epochs=1)
    other = made("functional", "wrapped", epochs=2)
    other.save_weights(tmp_path / "other.weights.h5")
    other.save(tmp_path / "other.keras")
    before = values(model)
    for name in ("other.weights.h5", "other.keras"):
        with pytest.raises(ValueError, match="^Nothing has been loaded into .*" + re.escape(name)):
            model.load_weights(tmp_path / name)
        assert_same(values(model), before)
    with pytest.raises(OSError, match=r"none\.weights\.h5"):
        model.load_weights(tmp_path / "none.weights.h5")


@pytest.mark.parametrize("way", crossed(list(WAYS)[1:], default=["wrapped"]))
def test_hdf5_of_before_keras_3(way, tmp_path):
    first, second = made("subclassed", way, epochs=1), made("subclassed", way)
    with pytest.warns(UserWarning, match="HDF5 keeps no state of FriendlySAM"):
        first.save(tmp_path / "model.h5")
    second.load_weights(tmp_path / "model.h5")
    assert_same(predicted(first), predicted(second))


@pytest.mark.parametrize("way", crossed(list(WAYS)[1:], default=["in_place"]))
def test_the_rule_is_none_of_the_layers(way):
    model = made("subclassed", way)
    assert model.rule not in model.layers
    assert len(model.layers) == 5


def test_the_network_is_left_as_it_was(tmp_path):
    net = functional()
    model = SharpnessAwareModel(net, "sam")
    net.save_weights(tmp_path / "run.weights.h5")  # Keras settles some attributes then.
    before = {name: id(value) for name, value in vars(net).items()}
    model.save_weights(tmp_path / "run.weights.h5")
    model.load_weights(tmp_path / "run.weights.h5")
    assert {name: id(value) for name, value in vars(net).items()} == before

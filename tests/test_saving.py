"""Training goes on after a round trip through a file as if there had been none."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_zsharp import SAM, SharpnessAwareModel, SharpnessAwareTraining, ZSharp
from tests.backends.networks import copied
from tests.rules.rules import RULES, every_rule, fresh
from tests.tiers import crossed
from tests.training.cases import BACKEND, CASES, assert_same

CASE = CASES["sequential"]


@keras.saving.register_keras_serializable("tests")
class Net(keras.Model):
    """No `build`, no dropout: layers get their weights at the first call."""

    def __init__(self, units=6, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = layers.Dense(units, activation="tanh")
        self.head = layers.Dense(3)

    def call(self, inputs):
        return self.head(self.hidden(keras.ops.reshape(inputs, (-1, 72))))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("tests")
class SharpNet(SharpnessAwareTraining, Net):
    def __init__(self, rule="friendly_sam", **kwargs):
        super().__init__(rule=rule, **kwargs)


def network():
    return keras.Sequential(
        [keras.Input((6, 6, 2)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)]
    )


def noisy():
    """Seeds in the network, in a layer of a layer, and in one that augments."""
    nested = keras.Sequential([layers.Dense(6), layers.Dropout(0.5, seed=1)])
    noise = [layers.RandomFlip("horizontal"), layers.GaussianNoise(0.1)]
    parts = [*noise, layers.Flatten(), nested, layers.Dropout(0.2, seed=2), layers.Dense(3)]
    return keras.Sequential([keras.Input((6, 6, 2)), *parts])


MODELS = {
    **{rule: lambda rule=rule: SharpnessAwareModel(network(), fresh(rule)) for rule in RULES},
    "scheduled": lambda: SharpnessAwareModel(
        network(), SAM(keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5))
    ),
    "unbuilt": lambda: SharpnessAwareModel(Net(), "friendly_sam"),
    "mixin": lambda: SharpNet(units=5),
    "noisy": lambda: SharpnessAwareModel(noisy(), "friendly_sam"),
    "random": lambda: SharpnessAwareModel(network(), ZSharp(rho=0.5, score="random")),
}
BESIDE_RULES = ["friendly_sam", *(name for name in MODELS if name not in RULES)]
"""`tests/rules/checks.py` goes on from a file with every rule."""


def compiled(name):
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 1, 0.9)
    model.compile(
        keras.optimizers.AdamW(schedule), CASE.loss, metrics=["accuracy"], run_eagerly=True
    )
    return model


def train(model, epochs):
    history = model.fit(CASE.x, CASE.y, epochs=epochs, batch_size=6, shuffle=False, verbose=0)
    return history.history


def state(model):
    return copied([*model.variables, *model.optimizer.variables])


def assert_same_state(left, right):
    assert_same(state(left), state(right))


@pytest.mark.parametrize("name", crossed(BESIDE_RULES, default=["friendly_sam", "noisy"]))
def test_two_and_two_epochs_across_a_save_equal_four(name, tmp_path):
    straight = compiled(name)
    train(straight, 4)
    first = compiled(name)
    train(first, 2)
    first.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    loaded.run_eagerly = True
    assert_same_state(loaded, first)
    train(loaded, 2)
    assert_same_state(loaded, straight)


@pytest.mark.parametrize("name", crossed(MODELS, default=["friendly_sam", "mixin", "noisy"]))
def test_weights_file_carries_rule_and_optimizer(name, tmp_path):
    first = compiled(name)
    train(first, 2)
    first.save_weights(tmp_path / "run.weights.h5")
    second = compiled(name)
    second(CASE.x)
    second.optimizer.build(second.trainable_variables)
    second.load_weights(tmp_path / "run.weights.h5")
    assert_same_state(second, first)
    train(first, 1)
    train(second, 1)
    assert_same_state(second, first)


def test_rho_set_while_training_is_saved(tmp_path):
    model = compiled("sam")
    model.rule.rho = 0.3
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").rule.rho == 0.3


@every_rule
def test_untrained_model(name, tmp_path):
    model = SharpnessAwareModel(network(), fresh(name))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.rule.get_config() == model.rule.get_config()
    np.testing.assert_array_equal(
        loaded.predict(CASE.x, verbose=0), model.predict(CASE.x, verbose=0)
    )


@pytest.mark.parametrize("name", ["friendly_sam", "unbuilt"])
def test_model_inside_saves_and_serves_alone(name, tmp_path):
    model = compiled(name)
    train(model, 1)
    expected = model.predict(CASE.x, verbose=0)
    model.model.save(tmp_path / "net.keras")
    alone = keras.saving.load_model(tmp_path / "net.keras")
    assert type(alone) is type(model.model)
    np.testing.assert_allclose(alone.predict(CASE.x, verbose=0), expected, rtol=1e-5, atol=1e-6)
    for served in (model.model, model):
        if BACKEND != "tensorflow":  # Others export by way of TensorFlow.
            continue
        import tensorflow as tf

        served.export(tmp_path / served.name, verbose=False)
        loaded = tf.saved_model.load(tmp_path / served.name)
        np.testing.assert_allclose(loaded.serve(CASE.x), expected, rtol=1e-5, atol=1e-6)


def test_compile_state(tmp_path):
    model = compiled("sam")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, keras.optimizers.AdamW)
    assert isinstance(loaded.loss, keras.losses.SparseCategoricalCrossentropy)
    assert set(train(loaded, 1)) == {"loss", "accuracy", "sharpness"}


def test_seeds_of_another_network_are_left_alone(tmp_path):
    """As are those of a file that has none, such as one of the network inside."""
    first, second = (SharpnessAwareModel(network(), "sam") for _ in range(2))
    first.save_weights(tmp_path / "none.weights.h5")
    SharpnessAwareModel(noisy(), "sam").save_weights(tmp_path / "noisy.weights.h5")
    second.load_weights(tmp_path / "none.weights.h5")
    inputs = keras.Input((6, 6, 2))
    fewer = keras.Sequential([inputs, *noisy().layers[:-2], layers.Dense(3)])
    model = SharpnessAwareModel(fewer, "sam")
    seeds = copied(v for v in fewer.variables if "seed" in v.path)
    assert seeds
    with pytest.warns(UserWarning, match=r"holds the state of 4 random seeds, .* has 3"):
        model.load_weights(tmp_path / "noisy.weights.h5", skip_mismatch=True)
    assert_same(seeds, copied(v for v in fewer.variables if "seed" in v.path))


@pytest.mark.parametrize("jit_compile", crossed([False, True], default=[False]))
def test_seeds_are_saved_in_graphs_and_under_xla(jit_compile, tmp_path):
    results = []
    for epochs in ((4,), (2, 2)):
        keras.utils.set_random_seed(0)
        model = SharpnessAwareModel(
            keras.Sequential([layers.Flatten(), layers.Dropout(0.5, seed=1), layers.Dense(3)]),
            "sam",
        )
        model.compile("adamw", CASE.loss, jit_compile=jit_compile)
        for count in epochs:
            train(model, count)
            model.save(tmp_path / "model.keras")
            model = keras.saving.load_model(tmp_path / "model.keras")
        results.append(state(model))
    assert_same(*results)

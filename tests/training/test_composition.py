"""What else Keras users train with goes through the step as in plain Keras."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_zsharp import SAM, FriendlySAM, SharpnessAwareModel, ZSharp
from tests.training import reference
from tests.training.cases import CASES, MODES, SAMPLES, assert_same, normal
from tests.training.test_keras_behaves import build

STEPS = 5
OPTIMIZERS = {
    "gradient_accumulation_steps": {"gradient_accumulation_steps": 2},
    "clipnorm": {"clipnorm": 0.05},
    "global_clipnorm": {"global_clipnorm": 0.05},
    "clipvalue": {"clipvalue": 0.01},
    "ema": {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 2},
    "schedule": {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.05, 1, 0.5)},
}


def losses(net, arguments, case, mode):
    """Of five steps on one batch."""
    model = SharpnessAwareModel(net, SAM(rho=0.1))
    model.compile(keras.optimizers.AdamW(**arguments), case.loss, **mode)
    fitted = model.fit(case.x, case.y, batch_size=SAMPLES, epochs=STEPS, shuffle=False, verbose=0)
    return fitted.history["loss"]


def expected_losses(net, arguments, case, mode):
    net.compile(keras.optimizers.AdamW(**arguments), case.loss, **mode)
    return reference.train(net, reference.sam, 0.1, [(case.x, case.y, None)] * STEPS)


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_options_of_the_optimizer(name, mode):
    """Clipping, accumulation and averages act on the second gradients and on what follows."""
    case, mode = CASES["regularized"], MODES[mode]
    arguments = {"learning_rate": 0.05, **OPTIMIZERS[name]}
    expected = expected_losses(build(case), arguments, case, mode)
    np.testing.assert_allclose(losses(build(case), arguments, case, mode), expected, rtol=2e-4)
    plain = expected_losses(build(case), {"learning_rate": 0.05}, case, mode)
    assert not np.allclose(plain, expected, rtol=1e-3)


def with_lora():
    inputs = keras.Input((5,))
    dense = layers.Dense(6, activation="tanh", lora_rank=2)
    x = dense(inputs)
    return keras.Model(inputs, layers.Dense(1, lora_rank=1)(x))


@pytest.mark.parametrize("rule", [SAM, ZSharp, FriendlySAM])
def test_lora_trains_its_factors_alone(rule):
    keras.utils.set_random_seed(0)
    net = with_lora()
    model = SharpnessAwareModel(net, rule(rho=0.1))
    model.compile(keras.optimizers.AdamW(0.05), "mse")
    before = {v.path: v.numpy() for v in net.variables}
    x, y = normal(5), normal(1)
    loss = model.fit(x, y, batch_size=SAMPLES, epochs=10, verbose=0).history["loss"]
    assert loss[-1] < loss[0]
    changed = {v.path.split("/")[-1] for v in net.variables if (v.numpy() != before[v.path]).any()}
    assert changed == {"lora_kernel_a", "lora_kernel_b", "bias"}


def test_lora_agrees_with_the_reference():
    case = type(CASES["regularized"])(with_lora, normal(5), normal(1))
    arguments = {"learning_rate": 0.05}
    expected = expected_losses(build(case), arguments, case, MODES["graph"])
    got = losses(build(case), arguments, case, MODES["graph"])
    np.testing.assert_allclose(got, expected, rtol=2e-4)


def half_frozen(rule):
    """A model that has trained whole, whose first layer is then frozen, and its data."""
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((5,)), layers.Dense(6, activation="tanh"), layers.Dense(1)])
    model = SharpnessAwareModel(net, rule)
    data = normal(5), normal(1)
    model.compile("adamw", "mse")
    model.fit(*data, epochs=2, verbose=0)
    net.layers[0].trainable = False
    model.compile("adamw", "mse")
    return model, data


@pytest.mark.parametrize("rule", ["sam", "zsharp", "asam"])
def test_layer_frozen_half_way(rule):
    model, data = half_frozen(rule)
    frozen, head = (layer.get_weights() for layer in model.model.layers)
    model.fit(*data, epochs=2, verbose=0)
    assert_same(model.model.layers[0].get_weights(), frozen)
    assert (model.model.layers[1].get_weights()[0] != head[0]).any()


def test_rule_with_averages_asks_for_a_new_one_after_freezing():
    model, data = half_frozen("friendly_sam")
    before = model.model.get_weights()
    with pytest.raises(ValueError, match="must be those that this FriendlySAM averages"):
        model.fit(*data, verbose=0)
    assert_same(model.model.get_weights(), before)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["zsharp", "friendly_sam"])
def test_keras_applications(rule):
    net = keras.applications.MobileNet((32, 32, 3), alpha=0.25, weights=None, classes=3)
    model = SharpnessAwareModel(net, rule)
    model.compile("adamw", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = normal(32, 32, 3), np.arange(SAMPLES) % 3
    history = model.fit(x, y, batch_size=6, epochs=3, verbose=0).history
    assert np.isfinite([*history["loss"], *history["sharpness"]]).all()
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.slow
def test_keras_hub_text_classifier():
    hub = pytest.importorskip("keras_hub")
    backbone = hub.models.BertBackbone(
        vocabulary_size=50,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=8,
    )
    net = hub.models.BertTextClassifier(backbone, num_classes=3)
    tokens = np.random.default_rng(0).integers(1, 50, (SAMPLES, 8))
    x = {
        "token_ids": tokens,
        "segment_ids": np.zeros_like(tokens),
        "padding_mask": np.ones_like(tokens, bool),
    }
    outputs = net(x)
    inner = keras.Model(net.inputs, net.outputs)
    assert outputs.shape == (SAMPLES, 3)
    model = SharpnessAwareModel(inner, "zsharp")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(1e-2), loss)
    history = model.fit(x, np.arange(SAMPLES) % 3, epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]

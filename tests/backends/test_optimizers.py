"""The optimizer has no part in what a rule does, and a rule none in what the optimizer does."""

import itertools

import keras
import numpy as np
import pytest

from keras_zsharp import SAM, SharpnessAwareModel
from tests.backends import networks, optimizers
from tests.tiers import crossed

MODES = {"compiled": {}, "eager": {"run_eagerly": True}}
MOMENTA = ("SGD", "RMSprop", "Adam", "AdamW", "Adamax", "Lion", "Nadam")
"""The optimizers here that keep a momentum."""


def trained(kind, cell, mode):
    model = optimizers.KINDS[kind](optimizers.network())
    networks.compiled(model, optimizers.of(cell), **MODES[mode])
    # In a graph of TensorFlow plain Keras builds it while tracing: ScheduleFreeAdamW then forgets
    # the weights that it starts from. Our step builds it before.
    model.optimizer.build(model.trainable_variables)
    # An accumulation goes on in the second epoch. A second `fit` fails in plain Keras on JAX with
    # EMA: weights and averages are the same arrays then, and the step takes each once.
    losses = optimizers.fit(model, batches=3, epochs=2)["loss"]
    return [*optimizers.state(model), np.array(losses)]


CELLS = [
    *itertools.product(["two passes"], optimizers.CELLS, ["compiled"]),
    *itertools.product(["one pass"], optimizers.ALONE, ["eager"]),
    *itertools.product(["skipping"], [*optimizers.ACCUMULATED, *optimizers.PAIRS], ["eager"]),
    *(
        ("along momentum", cell, mode)
        for cell, mode in itertools.product(optimizers.CELLS, MODES)
        if cell.partition("-")[0] in MOMENTA and (mode == "eager") == ("-" in cell)
    ),
]


@pytest.mark.parametrize(
    ("kind", "cell", "mode"),
    crossed(
        CELLS,
        default=[
            ("two passes", "SGD-accumulation-ema-LossScaleOptimizer", "compiled"),
            ("skipping", "Adam-accumulation", "eager"),
            ("one pass", "Muon", "eager"),
            ("along momentum", "SGD-accumulation-ema", "eager"),
        ],
    ),
)
def test_without_radius_any_optimizer_is_that_of_plain_keras(kind, cell, mode):
    plain, ours = trained("plain", cell, mode), trained(kind, cell, mode)
    for one, other in zip(plain, ours, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)


def sam_gradients(net, x, y, rho):
    """The gradients at w + e(w), by a plain step of SGD whose learning rate is 1."""

    def gradients(weights):
        net.set_weights(weights)
        net.compile(keras.optimizers.SGD(1.0), keras.losses.MeanSquaredError())
        net.train_on_batch(x, y)
        return [w - after for w, after in zip(weights, net.get_weights(), strict=True)]

    before = net.get_weights()
    at_w = gradients(before)
    factor = rho / np.sqrt(sum((g**2).sum() for g in at_w))
    found = gradients([w + factor * g for w, g in zip(before, at_w, strict=True)])
    net.set_weights(before)
    return found


@pytest.mark.parametrize("mode", crossed(MODES, default=["compiled"]))
def test_the_gradients_of_two_batches_are_accumulated(mode):
    """Each has a perturbation of its own, from the same weights."""
    net = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(3)]
    )
    x, _ = optimizers.data(2)
    y = np.random.default_rng(2).normal(size=(len(x), 3)).astype("float32")
    halves = [slice(0, 8), slice(8, 16)]
    both = [sam_gradients(net, x[half], y[half], rho=0.5) for half in halves]
    before = net.get_weights()
    model = SharpnessAwareModel(net, SAM(rho=0.5))
    accumulating = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    model.compile(accumulating, "mse", **MODES[mode])
    for half in halves:
        assert all(map(np.array_equal, net.get_weights(), before))
        model.train_on_batch(x[half], y[half])
    for w, after, one, other in zip(before, net.get_weights(), *both, strict=True):
        np.testing.assert_allclose(after, w - 0.1 * (one + other) / 2, rtol=1e-4, atol=1e-6)


def test_a_model_saved_within_an_accumulation_goes_on_with_the_same_bits(tmp_path):
    model = SharpnessAwareModel(optimizers.network(), "friendly_sam", skip_nonfinite=True)
    networks.compiled(model, optimizers.of("Adam-accumulation"))
    optimizers.fit(model, 3)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.gradient_accumulation_steps == 2
    for each in (model, loaded):
        optimizers.fit(each, 4)
    for one, other in zip(optimizers.state(model), optimizers.state(loaded), strict=True):
        np.testing.assert_array_equal(one, other)

"""Perturbed steps and plain ones take turns."""

import itertools

import keras
import numpy as np
import pytest

from keras_zsharp import SAM, FriendlySAM, SharpnessAwareModel
from tests.tiers import crossed
from tests.training import reference
from tests.training.cases import CASES, MODES, in_every_mode
from tests.training.running import build, compiled, expected_losses, fit
from tests.training.test_step import quadratic

# A branch of the graph is where state, missing gradients and unknown shapes could get lost.
OF_EVERYTHING = ("sequential", "add_loss", "two_outputs", "unused_head", "embedding_lstm")
OTHERS = ("dict_outputs", "shared_and_nested", "attention", "token", "custom_cell", "spectral")


@pytest.mark.parametrize(
    ("name", "mode"),
    crossed(
        itertools.product(("everything", *OF_EVERYTHING, *OTHERS), MODES),
        default=[
            ("everything", "graph"),
            ("custom_cell", "graph"),
            ("spectral", "graph"),
            ("sequential", "eager"),
        ],
    ),
)
def test_agrees_with_a_reference_that_perturbs_at_even_steps(name, mode):
    model = SharpnessAwareModel(build(name), SAM(rho=0.1), perturb_every=2)
    history = fit(compiled(model, name, **MODES[mode]), name)
    expected = expected_losses(name, reference.sam_at_even_steps, mode)
    np.testing.assert_allclose(history["loss"], expected, rtol=2e-4)
    first, second, third = history["sharpness"]
    assert first != 0
    assert second == 0
    assert third != 0


GROWING = keras.optimizers.schedules.PolynomialDecay(0.1, 10, 1.1)


def growing_radius(perturb_every, learning_rate=0.1, **mode):
    """The quadratic with Friendly-SAM, whose radius grows with every perturbation."""
    return quadratic(FriendlySAM(GROWING), learning_rate, perturb_every=perturb_every, **mode)


@in_every_mode
def test_rule_stands_still_on_plain_steps(mode):
    model, batch = growing_radius(3, **mode)
    radii, averages = [], []
    for _ in range(5):
        radii.append(model.perturbation.rho)
        model.train_on_batch(*batch)
        averages.append(model.perturbation.averages[0].numpy().tolist())
    np.testing.assert_allclose(radii, [0.1, 0.2, 0.2, 0.2, 0.3], rtol=1e-6)
    assert averages[0] == averages[1] == averages[2] != averages[3] == averages[4]


def test_sharpness_is_the_mean_of_the_perturbed_steps():
    """Steps 0 and 3 of four, where the radii are the first two."""
    third, (x, y) = growing_radius(3, learning_rate=0.0)
    every, _ = growing_radius(1, learning_rate=0.0)
    seen = [
        m.fit(np.repeat(x, n, 0), np.repeat(y, n, 0), batch_size=2, verbose=0).history
        for m, n in ((third, 4), (every, 2))
    ]
    assert seen[0]["sharpness"] == pytest.approx(seen[1]["sharpness"], rel=1e-5)


def test_counted_by_the_optimizer_across_a_save(tmp_path):
    case = CASES["regularized"]
    model = SharpnessAwareModel(case.build(), SAM(rho=0.5), perturb_every=3)
    model.compile(keras.optimizers.SGD(0.01), case.loss)

    def perturbs(model):
        model.reset_metrics()
        return bool(model.train_on_batch(case.x, case.y, return_dict=True)["sharpness"])

    assert [perturbs(model) for _ in range(2)] == [True, False]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.perturb_every == 3
    assert [perturbs(loaded) for _ in range(5)] == [False, True, False, False, True]

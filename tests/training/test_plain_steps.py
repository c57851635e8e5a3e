"""Perturbed steps and plain ones take turns: by options, and where the radius is 0."""

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


PolynomialDecay = keras.optimizers.schedules.PolynomialDecay
GROWING = PolynomialDecay(0.1, 10, 1.1)


@in_every_mode
@pytest.mark.parametrize(
    ("rho", "options", "perturbed"),
    [
        (GROWING, {"perturb_every": 3}, [0, 3]),
        (GROWING, {"perturb_from": 2}, [2, 3, 4]),
        (GROWING, {"perturb_from": 1, "perturb_every": 3}, [1, 4]),
        (PolynomialDecay(0.2, 2, 0.0), {}, [0, 1]),
        (0.0, {}, []),
    ],
    ids=["every", "from", "both", "falling", "zero"],
)
def test_averages_stand_still_on_plain_steps_and_schedules_do_not(rho, options, perturbed, mode):
    model, batch = quadratic(FriendlySAM(rho), 0.1, **options, **mode)
    seen = [0.0]
    for step in range(5):
        if not isinstance(rho, float):
            assert model.rule.rho == pytest.approx(float(rho(step)))
        model.train_on_batch(*batch)
        averages = model.rule.averages
        seen.append(np.abs(averages[0].numpy()).sum())
    assert [step for step in range(5) if seen[step + 1] != seen[step]] == perturbed


def test_sharpness_is_the_mean_of_the_perturbed_steps():
    """Steps 0 and 3 of four, whose radii are 0.1 and 0.4."""
    sharpness = {}
    for name, rho, options in (
        ("both", GROWING, {"perturb_every": 3}),
        ("first", 0.1, {}),
        ("last", 0.4, {}),
    ):
        model, (x, y) = quadratic(SAM(rho), 0.0, **options)
        history = model.fit(np.repeat(x, 4, 0), np.repeat(y, 4, 0), batch_size=2, verbose=0)
        sharpness[name] = history.history["sharpness"][0]
    mean = (sharpness["first"] + sharpness["last"]) / 2
    assert sharpness["both"] == pytest.approx(mean, rel=1e-5)


def test_a_radius_of_a_file_is_in_force_at_once(tmp_path):
    """As where a backup is restored once `fit` has made its program: averages stand still."""
    (still, _), (moving, batch) = (quadratic(FriendlySAM(rho)) for rho in (0.0, 0.5))
    still.train_on_batch(*batch)
    still.save_weights(tmp_path / "of.weights.h5")
    moving.train_on_batch(*batch)
    moving.load_weights(tmp_path / "of.weights.h5")
    moving.train_on_batch(*batch)
    assert moving.rule.rho == 0
    assert not np.any(moving.rule.averages[0])


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

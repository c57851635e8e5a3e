"""Every kind of model trains as an independent reference does: eager, in a graph, under XLA."""

import itertools

import numpy as np
import pytest

from keras_zsharp import SAM, SharpnessAwareModel, ZSharp
from tests.still import still
from tests.tiers import crossed
from tests.training import reference
from tests.training.cases import (
    CASES,
    MODES,
    SAMPLES,
    assert_same,
)
from tests.training.running import build, compiled, expected_losses, fit

OF_EVERYTHING = (
    "sequential",
    "regularized",
    "add_loss",
    "dict_inputs",
    "two_outputs",
    "unused_head",
    "frozen_layer",
    "embedding_lstm",
    "sample_weight",
)
"""Whose parts the case "everything" has together."""
EAGERLY = ("custom_cell", "spectral", "attention", "time_distributed")
IN_A_GRAPH = [name for name in CASES if name not in (*OF_EVERYTHING, *EAGERLY[2:])]

DEFAULT = [*((name, "graph") for name in IN_A_GRAPH), *((name, "eager") for name in EAGERLY)]


@pytest.mark.parametrize(
    ("name", "mode"), crossed(itertools.product(CASES, MODES), default=DEFAULT)
)
def test_agrees_with_perturb_and_restore(name, mode):
    model = compiled(SharpnessAwareModel(build(name), SAM(rho=0.1)), name, **MODES[mode])
    history = fit(model, name)
    expected = expected_losses(name, reference.sam, mode)
    np.testing.assert_allclose(history["loss"], expected, rtol=2e-4)
    assert all(np.isfinite(history["sharpness"]))


@pytest.mark.parametrize(
    "name",
    crossed(["everything", "sequential", "shared_and_nested", "attention"], ["shared_and_nested"]),
)
def test_zsharp_agrees_with_perturb_and_restore(name):
    model = compiled(SharpnessAwareModel(build(name), ZSharp(rho=0.1)), name)
    expected = expected_losses(name, reference.zsharp, "graph")
    np.testing.assert_allclose(fit(model, name)["loss"], expected, rtol=2e-4)


@pytest.mark.parametrize(
    "name", crossed(["token", "embedding_lstm", "unused_head"], default=["token"])
)
def test_batches_may_differ_in_size(name):
    case = CASES[name]
    model = compiled(SharpnessAwareModel(build(name), ZSharp(rho=0.1)), name)
    history = model.fit(case.x, case.y, batch_size=SAMPLES - 4, epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0]


# SpectralNormalization normalizes again at w + 0: equal only up to rounding.
@pytest.mark.parametrize(
    "name",
    crossed(
        [name for name in CASES if name != "spectral"],
        default=["subclassed", "dict_outputs", "custom_cell", "class_weight"],
    ),
)
def test_without_radius_equals_plain_keras(name):
    plain = compiled(build(name), name, run_eagerly=True)
    sharp = compiled(SharpnessAwareModel(build(name), still()), name, run_eagerly=True)
    # Keras adds up the losses of "everything" layer by layer, and in a wrapper from the last on.
    last_bits = 1e-6 if name == "everything" else 0
    np.testing.assert_allclose(fit(sharp, name)["loss"], fit(plain, name)["loss"], rtol=last_bits)
    assert_same(sharp.model.get_weights(), plain.get_weights())

"""The equations, computed in float64, and runs of the authors' released code."""

import json
import pathlib

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from keras_zsharp import ASAM, SAM, FriendlySAM, SharpnessAwareModel, ZSharp
from tests.tiers import crossed

GOLDEN = pathlib.Path(__file__).parent / "golden"
CASES = json.loads((GOLDEN / "conformance.json").read_text())
ARRAYS = np.load(GOLDEN / "conformance.npz")
SINGLE = [case for case in CASES if "inputs" in case]


ARGUMENTS = ("rho", "q_p", "eta", "lmbda", "sigma")


def rule_of(case):
    given = {name: case[name] for name in ARGUMENTS if name in case}
    if case["rule"].startswith("zsharp"):
        norm = "per_variable" if case["rule"].endswith("per_variable") else "global"
        return ZSharp(norm=norm, **given)
    return {"sam": SAM, "asam": ASAM, "friendly_sam": FriendlySAM}[case["rule"]](**given)


def arrays(key):
    result = []
    while f"{key}/{len(result)}" in ARRAYS:
        result.append(ARRAYS[f"{key}/{len(result)}"])
    assert result
    return result


def assert_agree(epsilons, expected, one_may_differ):
    for epsilon, exact in zip(epsilons, expected, strict=True):
        epsilon = np.asarray(epsilon, "float64")
        differs = np.abs(epsilon - exact) > 1e-5 * np.abs(exact) + 1e-9
        if one_may_differ and differs.sum() == 1:
            # A float32 tie at the cut: one component on the other side of the mask.
            assert bool(epsilon[differs] == 0) != bool(exact[differs] == 0)
        else:
            assert not differs.any()


def each(cases):
    cases = list(cases)
    return pytest.mark.parametrize("case", cases, ids=[case["key"] for case in cases])


def test_every_case_is_here():
    assert len(CASES) == 177


def variables_of(case, weights):
    return [keras.Variable(w, name=name) for name, w in zip(case["names"], weights, strict=True)]


@pytest.mark.parametrize("mode", crossed(["eager", "graph"], default=["eager"]))
@pytest.mark.parametrize(("inputs", "rule"), sorted({(c["inputs"], c["rule"]) for c in SINGLE}))
def test_perturbation(inputs, rule, mode):
    """In a graph, traced once for all rho and q_p."""
    cases = [case for case in SINGLE if (case["inputs"], case["rule"]) == (inputs, rule)]
    made, variables = rule_of(cases[0]), variables_of(cases[0], arrays(f"{inputs}/w"))

    def perturb(gradients):
        return made(gradients, variables)

    if mode == "graph":
        tensorflow = pytest.importorskip("tensorflow")
        perturb = tensorflow.function(perturb)
    for case in cases:
        made.rho = case["rho"]
        if "q_p" in case:
            made.q_p = case["q_p"]
        assert all(getattr(made, name) == case[name] for name in ARGUMENTS if name in case)
        epsilons = perturb(arrays(f"{inputs}/g"))
        assert_agree(epsilons, arrays(case["key"]), rule.startswith("zsharp"))


@each(case for case in CASES if "steps" in case and not case.get("trajectory"))
def test_perturbations_of_steps(case):
    rule, variables = rule_of(case), None
    for step in range(case["steps"]):
        gradients = arrays(f"{case['key']}/g{step}")
        variables = variables or variables_of(case, [np.zeros_like(g) for g in gradients])
        assert_agree(rule(gradients, variables), arrays(f"{case['key']}/eps{step}"), False)


@each(case for case in CASES if case.get("trajectory"))
def test_released_code_trains_the_same(case):
    network = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(33, activation="tanh"),
            keras.layers.Dense(17, activation="tanh"),
            keras.layers.Dense(10),
        ]
    )
    network.set_weights(arrays("traj/w0"))
    model = SharpnessAwareModel(network, rule_of(case))
    model.compile(
        keras.optimizers.SGD(case["lr"], momentum=case["momentum"]),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    digits = load_digits()
    losses = []
    for rows in ARRAYS["traj/batches"]:
        model.reset_metrics()
        images = (digits.data[rows] / 16 - 0.5).astype("float32")
        losses.append(model.train_on_batch(images, digits.target[rows], return_dict=True)["loss"])
    np.testing.assert_allclose(losses, ARRAYS[f"{case['key']}/loss"], rtol=0, atol=1e-5)
    for weight, exact in zip(network.get_weights(), arrays(f"{case['key']}/w"), strict=True):
        np.testing.assert_allclose(weight, exact, rtol=0, atol=1e-5)

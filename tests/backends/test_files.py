"""A model that was saved on one backend goes on on another.

`python -m tests.backends.test_files` saves those of the backend that it runs on. The files that are
stored are of version 0.2.0, whose names they have: do not write over them.
"""

import pathlib

import keras
import numpy as np
import pytest

import keras_zsharp
from keras_zsharp import SharpnessAwareModel
from tests.backends import networks

pytestmark = pytest.mark.matrix
FOLDER = pathlib.Path(__file__).parents[1] / "golden" / "saved"
BACKENDS = ("tensorflow", "jax", "torch")
RULES = {
    "zsharp": lambda: keras_zsharp.ZSharp(rho=0.1, q_p=0.9, norm="per_variable"),
    "friendly_sam": lambda: keras_zsharp.FriendlySAM(
        keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5), lmbda=0.8
    ),
}
EXAMPLES = 5 * networks.BATCH


def train(model):
    networks.trained(model, examples=EXAMPLES)
    return networks.copied(model.model.weights)


def path(rule, backend):
    return FOLDER / f"{rule}_{backend}.keras"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rule", RULES)
def test_it_goes_on(rule, backend):
    """As on the backend that it comes from."""
    model = keras.models.load_model(path(rule, backend))
    made = RULES[rule]()
    assert type(model.rule) is type(made)
    ours, expected = model.rule.get_config(), made.get_config()
    assert {**ours, "name": None} == {**expected, "name": None}
    stored = np.load(FOLDER / f"{rule}_{backend}.npz")
    before = [stored[name] for name in stored if name.startswith("before")]
    # Rules of version 0.2 counted steps, if a schedule did: an integer among their variables.
    before = [value for value in before if value.dtype.kind == "f"]
    loaded = networks.copied([*model.model.weights, *model.rule.variables])
    for value, expected in zip(loaded, before, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-7)
    for i, value in enumerate(train(model)):
        np.testing.assert_allclose(value, stored[f"after_{i}"], rtol=0, atol=1e-5)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, make in RULES.items():
        trained = networks.compiled(SharpnessAwareModel(networks.network(), make()))
        train(trained)
        variables = [*trained.model.weights, *trained.rule.variables]
        before = networks.copied(variables)
        trained.save(path(name, keras.backend.backend()))
        arrays = {f"before_{i}": value for i, value in enumerate(before)}
        arrays |= {f"after_{i}": value for i, value in enumerate(train(trained))}
        np.savez_compressed(path(name, keras.backend.backend()).with_suffix(".npz"), **arrays)

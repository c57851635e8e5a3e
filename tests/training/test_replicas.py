"""Training on several devices."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from keras_zsharp import SharpnessAwareModel
from tests.training.cases import CASES

ROOT = pathlib.Path(__file__).parents[2]


def trained(folder, devices, *arguments):
    """Logs by name, and by number the variables, with an axis of replicas."""
    command = [sys.executable, "-m", "tests.training.replicas", folder, devices, *arguments]
    subprocess.run(list(map(str, command)), cwd=ROOT, check=True)
    return dict(np.load(folder / f"{devices}.npz"))


@pytest.mark.parametrize("sync", ["global", "global, every other step"])
@pytest.mark.parametrize("rule", ["zsharp", "friendly_sam"])
def test_global_perturbation_is_that_of_one_device(tmp_path, rule, sync):
    one, two = (trained(tmp_path, devices, rule, sync, 6) for devices in (1, 2))
    for name, values in one.items():
        for replica in np.broadcast_to(two[name], (2, *np.shape(two[name])[1:])):
            np.testing.assert_allclose(replica, values[0] if values.ndim else values, atol=1e-6)


@pytest.mark.parametrize(
    ("rule", "sync", "policy"),
    [
        ("friendly_sam", "replica", "float32"),
        ("friendly_sam", "global", "float32"),
        ("zsharp", "replica", "mixed_float16"),
        ("asam", "replica", "mixed_bfloat16"),
    ],
)
def test_replicas_stay_the_same(tmp_path, rule, sync, policy):
    results = trained(tmp_path, 2, rule, sync, 50, policy)
    assert np.isfinite(results["loss"])
    for name, values in results.items():
        if values.ndim:
            np.testing.assert_array_equal(values[0], values[1], err_msg=name)


def test_each_replica_has_its_own_perturbation(tmp_path):
    """With one step of plain SGD, micro-batches of one device are the same."""
    own, common = (trained(tmp_path, 2, "sam", sync, 1) for sync in ("replica", "global"))
    assert own["loss"] == pytest.approx(common["loss"], rel=1e-6)
    assert own["sharpness"] > common["sharpness"] * 1.001


@pytest.mark.parametrize("value", ["all", None, True])
def test_bad_argument(value):
    message = (
        f"`perturbation_sync` must be 'replica' or 'global'. Received: perturbation_sync={value!r}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SharpnessAwareModel(CASES["regularized"].build(), "sam", perturbation_sync=value)

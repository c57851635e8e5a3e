"""Training on several devices, and in several processes."""

import contextlib
import itertools
import json
import os
import pathlib
import re
import socket
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
TIME_LIMIT = 300
STEPS = 50


def start(file, *arguments, **environment):
    command = [sys.executable, "-m", "tests.training.replicas", file, *map(str, arguments)]
    environment = {**os.environ, **environment}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def trained(folder, devices, *arguments):
    """Logs by name, and by number the variables, with an axis of replicas."""
    file = folder / f"{devices}.npz"
    _, errors = start(file, devices, *arguments).communicate(timeout=TIME_LIMIT)
    assert file.exists(), errors
    return dict(np.load(file))


def trained_by_workers(folder, *arguments):
    """The same of each of two workers, or what the first printed if it failed."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        cluster = {"worker": [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]}
    files, workers = [folder / f"worker{i}.npz" for i in range(2)], []
    try:
        for i, file in enumerate(files):
            task = {"cluster": cluster, "task": {"type": "worker", "index": i}}
            workers.append(start(file, 1, *arguments, TF_CONFIG=json.dumps(task)))
        _, errors = workers[0].communicate(timeout=TIME_LIMIT)
        if workers[0].returncode:
            return errors
        workers[1].communicate(timeout=TIME_LIMIT)
    finally:
        for worker in workers:
            worker.kill()
    return [dict(np.load(file)) for file in files]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "sync"),
    [
        *itertools.product(
            ["zsharp", "friendly_sam", "gsam", "look_sam", "msam"],
            ["global", "global, every other step"],
        ),
        ("random_sam", "replica"),  # The devices' seeds are the same.
    ],
)
def test_common_perturbation_is_that_of_one_device(tmp_path, rule, sync):
    one, two = (trained(tmp_path, devices, rule, sync, 6) for devices in (1, 2))
    # LookSAM keeps a small difference of gradients.
    atol = 1e-5 if rule == "look_sam" else 1e-6
    for name, values in one.items():
        for replica in np.broadcast_to(two[name], (2, *values.shape[1:])):
            np.testing.assert_allclose(replica, values[0] if values.ndim else values, atol=atol)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "sync", "policy"),
    [
        ("friendly_sam", "replica", "float32"),
        ("friendly_sam", "global", "float32"),
        ("zsharp", "replica", "mixed_float16"),
        ("asam", "replica", "mixed_bfloat16"),
        ("look_sam", "replica", "mixed_float16"),
    ],
)
def test_devices_stay_the_same(tmp_path, rule, sync, policy):
    results = trained(tmp_path, 2, rule, sync, STEPS, policy)
    assert np.isfinite(results["loss"])
    for name, values in results.items():
        if values.ndim:
            np.testing.assert_array_equal(values[0], values[1], err_msg=name)


@pytest.mark.slow
def test_each_device_has_its_own_perturbation(tmp_path):
    own, common = (trained(tmp_path, 2, "sam", sync, 1) for sync in ("replica", "global"))
    assert own["loss"] == pytest.approx(common["loss"], rel=1e-6)
    assert own["sharpness"] > common["sharpness"] * 1.001


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_devices_skip_a_step_together(tmp_path, policy):
    """Though one of them alone sees the bad example."""
    results = trained(tmp_path, 2, "friendly_sam", "replica", 3, policy, "inf")
    assert results["steps"] == 2
    assert np.isnan(results["loss"])
    assert np.isfinite([results["sharpness"], results["val_loss"]]).all()
    for name, values in results.items():
        if values.ndim:
            assert np.isfinite(values).all()
            np.testing.assert_array_equal(values[0], values[1], err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "sync", "policy"),
    [("friendly_sam", "replica", "float32"), ("zsharp", "global", "mixed_float16")],
)
def test_workers_stay_the_same(tmp_path, rule, sync, policy):
    first, second = trained_by_workers(tmp_path, rule, sync, STEPS, policy)
    assert first["predicted"] == STEPS * 32
    assert {"loss", "mae", "sharpness", "val_loss", "val_mae"} < first.keys()
    for name, values in first.items():
        assert np.isfinite(values).all()
        np.testing.assert_array_equal(values, second[name], err_msg=name)


@pytest.mark.slow
def test_plain_keras_cannot_train_on_several_workers(tmp_path):
    """If this fails, `keras_zsharp.backend.tensorflow.devices` is no longer needed."""
    assert "PerReplica" in trained_by_workers(tmp_path, "", "", 1)


@pytest.mark.slow
def test_uneven_first_batch_trains(tmp_path):
    """If plain Keras no longer fails, we need not take the first batch ourselves."""
    uneven = 15 / 32
    with pytest.raises(AssertionError, match="AddN"):
        trained(tmp_path, 2, "", "", uneven)
    logs = trained(tmp_path, 2, "sam", "replica", uneven)
    assert logs["steps"] == 1
    assert np.isfinite(logs["loss"])


@pytest.mark.slow
def test_what_fails_in_plain_keras_is_refused():
    """If plain Keras no longer fails, neither need we: see `checks.check_devices`."""
    command = [sys.executable, "-m", "tests.training.refused"]
    printed = subprocess.check_output(command, cwd=ROOT, text=True, timeout=TIME_LIMIT)
    refused = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert len(refused) == 3
    for outcome in refused:
        assert outcome["plain"]
        assert re.fullmatch(
            rf"ValueError: `{outcome['option']}` must be .* under a strategy with several devices, "
            rf"where it fails in plain Keras too. Received: {outcome['option']}=.* and 2 devices",
            outcome["ours"],
        )

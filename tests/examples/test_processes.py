"""Several processes share a grid, and what a killed one leaves goes on; strategies within a run."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest

from experiments import history
from tests.examples.tiny_grid import NAMES, config, result

ROOT = pathlib.Path(__file__).parents[2]
TIME_LIMIT = 300


def start(how, *arguments, **environment):
    """A process of `tests.examples.reproducing`."""
    path = os.pathsep.join(map(str, (ROOT, ROOT / "examples")))
    return subprocess.Popen(
        [sys.executable, "-m", "tests.examples.reproducing", how, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait(process):
    printed, errors = process.communicate(timeout=TIME_LIMIT)
    return process.returncode, printed, errors


@pytest.mark.slow
def test_processes_share_a_grid_and_a_killed_one_is_taken_over(tmp_path):
    """What three processes make together, one of them killed, has the bits of one alone."""
    path, shared, alone = config(tmp_path, 4), tmp_path / "shared", tmp_path / "alone"
    in_the_third_epoch = "10"
    killed = start(in_the_third_epoch, path, "--output", shared, "--deterministic")
    assert killed.wait(TIME_LIMIT) == -signal.SIGKILL
    *_, backup = sorted((shared / NAMES[0] / "backup").iterdir())
    assert backup.name.startswith("00002-")
    assert not (shared / NAMES[0] / "result.json").exists()
    others = [start("plainly", path, "--output", shared, "--deterministic") for _ in range(2)]
    one = start("plainly", path, "--output", alone, "--deterministic")
    outcomes = [wait(process) for process in (*others, one)]
    for code, _, errors in outcomes:
        assert code == 0, errors
    done = [line.split(":")[0] for _, printed, _ in outcomes[:2] for line in printed.splitlines()]
    assert sorted(name for name in done if name in NAMES) == sorted(NAMES)
    for name in NAMES:
        assert_same_run(shared / name, alone / name)


@pytest.mark.slow
def test_mirrored(tmp_path):
    arguments = ("--output", tmp_path / "out", "--strategy", "mirrored", "--only", "seed0")
    code, _, errors = wait(start("two", config(tmp_path, 1), *arguments))
    assert code == 0, errors
    for name in NAMES[:2]:
        assert len(result(tmp_path / "out" / name)["devices"]) == 2
        assert json.loads((tmp_path / "out" / name / "config.json").read_text())["strategy"]


@pytest.mark.slow
def test_workers_of_a_cluster(tmp_path):
    """Both train together; the first alone writes."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        cluster = {"worker": [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]}
    arguments = ("--output", tmp_path / "out", "--strategy", "multiworker", "--only", "seed0")
    workers = [
        start(
            "plainly",
            config(tmp_path, 1),
            *arguments,
            TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": i}}),
        )
        for i in range(2)
    ]
    try:
        (code, first, errors), (_, second, more) = map(wait, workers)
    finally:
        for worker in workers:
            worker.kill()
    assert code == 0, errors + more
    assert f"{NAMES[1]}: " in first
    assert f"{NAMES[1]}: " not in second
    for name in NAMES[:2]:
        assert result(tmp_path / "out" / name)["epochs"] == 1


def assert_same_run(one, other):
    for key, value in result(one).items():
        assert (
            key in ("seconds", "duration", "versions", "provenance", "devices")
            or result(other)[key] == value
        ), key
    epochs = result(one)["epochs"]
    histories = [history.read(folder / "history.csv", epochs, 0.2) for folder in (one, other)]
    histories = [[{**row, "seconds": 0, "duration": 0} for row in rows] for rows in histories]
    assert histories[0] == histories[1]
    weights = [
        keras.models.load_model(folder / "model.keras").get_weights() for folder in (one, other)
    ]
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)

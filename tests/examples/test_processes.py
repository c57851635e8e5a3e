"""What becomes of a grid whose processes are killed; strategies within a run."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pandas as pd
import pytest

from experiments import files, history
from tests.examples.tiny_grid import NAMES, config, result

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).parents[2]
TIME_LIMIT = 900  # against what hangs: a busy machine takes minutes
# The bits of a result depend on the number of threads.
REPEATABLE = ("--deterministic", "--cpus", "1", "--only", "seed0")
RUNS = NAMES[:2]


def start(how, *arguments):
    """A process of `tests.examples.reproducing`."""
    path = os.pathsep.join(map(str, (ROOT, ROOT / "examples")))
    return subprocess.Popen(
        [sys.executable, "-m", "tests.examples.reproducing", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "HOW": how},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait(process):
    printed, errors = process.communicate(timeout=TIME_LIMIT)
    return process.returncode, printed, errors


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A grid, and the output of a process that nobody has disturbed."""
    folder = tmp_path_factory.mktemp("alone")
    path = config(folder, 4)
    code, _, errors = wait(start("plainly", path, "--output", folder / "out", *REPEATABLE))
    assert code == 0, errors
    return path, folder / "out"


def assert_done(output, alone):
    """Every run has the bits of those that nobody has disturbed."""
    for name in RUNS:
        assert_same_run(output / name, alone / name)


def done(printed):
    return sorted(line.split(":")[0] for line in printed.splitlines() if line.startswith("digits-"))


def test_a_killed_run_goes_on_with_the_same_command(alone, tmp_path):
    path, undisturbed = alone
    arguments = (path, "--output", tmp_path, *REPEATABLE)
    code, _, errors = wait(start("killed", *arguments))
    assert code == 1
    assert f"{NAMES[0]}: its process has ended with status -9\nWith that mended, the" in errors
    *_, backup = sorted((tmp_path / NAMES[0] / "backup").iterdir())
    assert backup.name.startswith("00002-")
    assert not (tmp_path / NAMES[0] / "result.json").exists()
    code, printed, errors = wait(start("killed", *arguments))
    assert code == 0, errors
    assert done(printed) == sorted(RUNS)
    assert_done(tmp_path, undisturbed)


def test_ray_does_a_run_again_whose_worker_was_killed(alone, tmp_path):
    path, undisturbed = alone
    arguments = (path, "--output", tmp_path, "--ray", "local", *REPEATABLE)
    code, printed, errors = wait(start("killed", *arguments))
    assert code == 0, errors
    assert int((tmp_path / NAMES[0] / "killed").read_text()) > 0
    assert done(printed) == sorted(RUNS)
    assert_done(tmp_path, undisturbed)


@pytest.fixture
def under_way(alone, tmp_path):
    """Arguments of a process that has done an epoch of its first run, and the process."""
    path, _ = alone
    arguments = (path, "--output", tmp_path, *REPEATABLE)
    process = start("plainly", *arguments)
    begun = time.monotonic()
    while not list(tmp_path.glob(f"{NAMES[0]}/backup/*")):
        assert time.monotonic() - begun < TIME_LIMIT
        time.sleep(0.05)
    yield arguments, process
    process.kill()
    process.communicate()


def test_a_terminated_program_takes_its_run_with_it(alone, under_way, tmp_path):
    _, undisturbed = alone
    arguments, process = under_way
    process.send_signal(signal.SIGTERM)
    code, _, errors = wait(process)
    assert code == 1
    assert f"Interrupted; the same command goes on from {tmp_path}" in errors
    with files.locked(tmp_path / NAMES[0]):  # Nobody does the run.
        assert not (tmp_path / NAMES[0] / "result.json").exists()
    code, _, errors = wait(start("plainly", *arguments))
    assert code == 0, errors
    assert_done(tmp_path, undisturbed)


def test_what_the_run_of_a_killed_program_does_is_taken(alone, under_way, tmp_path):
    """The process of its run is left alone, and nobody does the run beside it."""
    _, undisturbed = alone
    arguments, first = under_way
    first.send_signal(signal.SIGKILL)
    first.wait()
    code, printed, errors = wait(start("plainly", *arguments))
    assert code == 0, errors
    assert RUNS[1] in done(printed)
    assert_done(tmp_path, undisturbed)


def test_mirrored(tmp_path):
    arguments = ("--output", tmp_path / "out", "--strategy", "mirrored", "--only", "seed0")
    code, _, errors = wait(start("two", config(tmp_path, 1), *arguments))
    assert code == 0, errors
    for name in NAMES[:2]:
        assert len(result(tmp_path / "out" / name)["devices"]) == 2
        assert json.loads((tmp_path / "out" / name / "config.json").read_text())["strategy"]


def assert_same_run(one, other):
    differs = ("seconds", "duration", "versions", "provenance", "devices")
    for key, value in result(one).items():
        assert key in differs or result(other)[key] == value, key
    histories = [history.read(folder / "history.csv", 4, 0.2) for folder in (one, other)]
    histories = [told.drop(columns=["seconds", "duration"]) for told in histories]
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    weights = [
        keras.models.load_model(folder / "model.keras").get_weights() for folder in (one, other)
    ]
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)

"""A killed run goes on in a new process and ends as one that ran through, bit for bit."""

import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.training.resumed import RULES

ROOT = pathlib.Path(__file__).parents[2]
TIME_LIMIT = 300
IN_THE_THIRD_EPOCH = 15


def run(folder, name, how, *step):
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.training.resumed", folder, name, how, *map(str, step)]
    return subprocess.run(
        command, cwd=ROOT, timeout=TIME_LIMIT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("friendly_sam", "backup"),
        *(
            pytest.param(name, "backup", marks=pytest.mark.slow)
            for name in RULES
            if name != "friendly_sam"
        ),
        *(
            pytest.param(name, "checkpoint", marks=pytest.mark.slow)
            for name in ("zsharp", "unbuilt")
        ),
    ],
)
def test_killed_run_ends_as_one_that_ran_through(tmp_path, name, how):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    outcome = run(straight, name, how)
    assert outcome.returncode == 0, outcome.stderr
    assert run(killed, name, how, IN_THE_THIRD_EPOCH).returncode == -signal.SIGKILL
    assert not (killed / "end.npz").exists()
    outcome = run(killed, name, how)
    assert outcome.returncode == 0, outcome.stderr
    expected, got = np.load(straight / "end.npz"), np.load(killed / "end.npz")
    assert len(expected) == len(got) > 15
    for key, values in expected.items():
        np.testing.assert_array_equal(got[key], values, err_msg=key)

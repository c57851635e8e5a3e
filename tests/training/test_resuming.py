"""A killed run goes on in a new process and ends as one that ran through, bit for bit."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from keras_zsharp import SharpnessAwareModel
from tests.training.resumed import RULES

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
ROOT = pathlib.Path(__file__).parents[2]
TIME_LIMIT = 300
IN_THE_THIRD_EPOCH = 15


def start(folder, *arguments):
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.training.resumed", folder, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def run(folder, *arguments):
    """Its exit status, and what it said."""
    process = start(folder, *arguments)
    _, errors = process.communicate(timeout=TIME_LIMIT)
    return process.returncode, errors


def assert_same_end(straight, killed):
    expected, got = np.load(straight / "end.npz"), np.load(killed / "end.npz")
    assert len(expected) == len(got) > 15
    for key, values in expected.items():
        np.testing.assert_array_equal(got[key], values, err_msg=key)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "how"),
    [*((name, "backup") for name in RULES), ("zsharp", "checkpoint"), ("unbuilt", "checkpoint")],
)
def test_killed_run_ends_as_one_that_ran_through(tmp_path, name, how):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert run(straight, name, how)[0] == 0
    assert run(killed, name, how, IN_THE_THIRD_EPOCH)[0] == -signal.SIGKILL
    assert not (killed / "end.npz").exists()
    status, errors = run(killed, name, how)
    assert status == 0, errors
    assert_same_end(straight, killed)


def kill_at_random(folder, moments, *arguments):
    """Kills a run soon after its next epoch; whether it was still there to be killed."""
    before = {*(folder / "backup").glob("*")}
    process = start(folder, *arguments)
    while process.poll() is None and not {*(folder / "backup").glob("0*")} - before:
        time.sleep(0.01)
    time.sleep(moments.uniform(0, 0.5))
    process.kill()
    _, errors = process.communicate(timeout=TIME_LIMIT)
    assert process.returncode in (0, -signal.SIGKILL), errors
    return process.returncode != 0


@pytest.mark.slow
def test_kills_at_random_moments(tmp_path):
    """`KILLS=100` tries more of them."""
    kills, straight, killed = int(os.environ.get("KILLS", "8")), tmp_path / "1", tmp_path / "2"
    arguments, moments = ("friendly_sam", "backup", 0, 20 * kills), random.Random(0)
    assert run(straight, *arguments)[0] == 0
    assert all(kill_at_random(killed, moments, *arguments) for _ in range(kills))
    status, errors = run(killed, *arguments)
    assert status == 0, errors
    assert_same_end(straight, killed)


class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 5:
            raise KeyboardInterrupt


@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: SharpnessAwareModel(net, "sam")])
def test_an_integer_save_freq_starts_the_epoch_over(wrap, tmp_path):
    """If this fails, `BackupAndRestore` has learnt better: docs/guides/resume.md warns of it."""
    data = np.ones((12, 4)), np.ones((12, 1))

    def fit(*callbacks):
        model = wrap(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]))
        model.compile("sgd", "mse")
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=4)
        model.fit(*data, batch_size=2, epochs=2, verbose=0, callbacks=[backup, *callbacks])
        return int(model.optimizer.iterations)

    with pytest.raises(KeyboardInterrupt):
        fit(Stop())
    # Those of the two epochs, and the four before the backup once more.
    assert fit() == 12 + 4

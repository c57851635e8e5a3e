"""A killed run goes on in a new process and ends as one that ran through, bit for bit."""

import pathlib
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_zsharp import SharpnessAwareModel
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "how"),
    [*((name, "backup") for name in RULES), ("zsharp", "checkpoint"), ("unbuilt", "checkpoint")],
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


class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 5:
            raise KeyboardInterrupt


@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: SharpnessAwareModel(net, "sam")])
def test_an_integer_save_freq_starts_the_epoch_over(wrap, tmp_path):
    """If this fails, `BackupAndRestore` has learnt better: docs/limits.md warns of it."""
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

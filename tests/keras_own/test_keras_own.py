"""Keras' own tests, which its wheel brings, pass with our step in every model that they train."""

import os
import pathlib
import re
import subprocess
import sys

import keras
import pytest

ROOT = pathlib.Path(__file__).parents[2]
SOURCE = pathlib.Path(keras.__file__).parent / "src"
# How many models our step trains there at least: without it the tests would pass as well.
MODELS_TRAINED = {
    "trainers/trainer_test.py": 100,
    "models": 40,
    "callbacks": 40,
    "layers/convolutional": 30,
    "layers/core": 40,
    "layers/normalization": 15,
    "layers/rnn": 30,
}
# They need packages that are not here, and a `conftest` that the wheel lacks.
LEFT_OUT = "not grain and not torch and not Orbax"
WITHOUT = SOURCE / "callbacks" / "remote_monitor_test.py"


@pytest.mark.slow
@pytest.mark.parametrize("tests", MODELS_TRAINED)
def test_keras_own_tests(tests, tmp_path):
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(tmp_path)]
    command += ["-p", "no:cacheprovider", "-p", "no:warnings", "-p", "tests.keras_own.plugin"]
    command += ["-k", LEFT_OUT, "--ignore", str(WITHOUT), str(SOURCE / tests)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    [trained] = re.findall(r"Models that our step trained: (\d+)", done.stdout)
    assert int(trained) >= MODELS_TRAINED[tests]

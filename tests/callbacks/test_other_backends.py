"""A backup of one backend goes on with another: the same program, if not the same bits.

`python -m tests.callbacks.test_other_backends FOLDER EPOCHS` trains on the backend that it runs on.
"""

import importlib.util
import os
import pathlib
import subprocess
import sys

import keras
import pytest

from keras_zsharp.callbacks import Backup
from tests.backends.test_resuming import callbacks, model_of, run

ROOT = pathlib.Path(__file__).parents[2]
BACKENDS = ("tensorflow", "jax", "torch")
TIME_LIMIT = 300


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backup_of_another_backend_goes_on(backend, tmp_path):
    if backend == keras.backend.backend() or not importlib.util.find_spec(backend):
        pytest.skip(f"{backend} is this backend, or is not installed")
    command = [sys.executable, "-m", "tests.callbacks.test_other_backends", tmp_path, "2"]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=TIME_LIMIT)
    assert [path.name[:5] for path in sorted(tmp_path.iterdir())] == ["00001", "00002"]
    epochs, _ = train(tmp_path, 4)
    assert epochs == [2, 3]


def train(folder, epochs):
    model = model_of(run_eagerly=True)
    return run(model, Backup(folder, delete_checkpoint=False), *callbacks(), epochs=epochs)


if __name__ == "__main__":
    train(pathlib.Path(sys.argv[1]), int(sys.argv[2]))

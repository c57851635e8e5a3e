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


@pytest.mark.skipif(os.name == "nt", reason="Windows locks no folders")
@pytest.mark.parametrize("ends", [True, False])
def test_a_folder_with_which_another_process_trains_is_refused(ends, tmp_path):
    """Until it ends, or is killed, whatever processes it has forked."""
    program = (
        "import os, sys, time, keras_zsharp.callbacks.disk as disk; from pathlib import Path\n"
    )
    program += "disk.lock(Path(sys.argv[1]))\n"
    program += "os.fork() or (os.close(1), time.sleep(8), os._exit(0))\n"
    program += "time.sleep(1); print('locked', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(OSError, match=r"of one run at a time, .*Take another folder, or end"):
            train(tmp_path, 1)
        if not ends:
            other.kill()
        other.communicate()
    assert train(tmp_path, 1)[0] == [0]
    assert [path.name[:5] for path in tmp_path.iterdir()] == ["00001"]


def train(folder, epochs):
    model = model_of(run_eagerly=True)
    return run(model, Backup(folder, delete_checkpoint=False), *callbacks(), epochs=epochs)


if __name__ == "__main__":
    train(pathlib.Path(sys.argv[1]), int(sys.argv[2]))

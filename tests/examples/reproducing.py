"""`examples/reproduce.py`, whose runs may kill their process, or have two devices.

    HOW=killed python -m tests.examples.reproducing ARGUMENTS...

HOW is "plainly", "two", or "killed": the first run kills its process once, in its third epoch.
"""

import os
import pathlib
import signal
import sys

import keras
import tensorflow as tf

from examples import reproduce
from experiments import runs
from tests.examples.tiny_grid import NAMES

STEP = 10
HOW = os.environ.get("HOW")
do_plainly = runs.do

if HOW == "two":
    [cpu] = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, parts)


class Kill(keras.callbacks.Callback):
    def __init__(self, killed):
        super().__init__()
        self.killed = killed

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == STEP:
            self.killed.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)


def do(config, folder, **job):
    killed = pathlib.Path(folder) / "killed"
    kills = HOW == "killed" and killed.parent.name == NAMES[0] and not killed.exists()
    return do_plainly(config, folder, **job, more=[Kill(killed)] * kills)


if __name__ == "__main__":
    runs.do = do
    reproduce.main(sys.argv[1:])

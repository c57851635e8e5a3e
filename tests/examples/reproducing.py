"""`examples/reproduce.py`, whose runs may kill their process, or have two devices.

    HOW=killed python -m tests.examples.reproducing ARGUMENTS...

HOW is "plainly", "two", or "killed": the first run kills its process once, in its third epoch.
"""

import os
import signal
import sys

import tensorflow as tf

from examples import reproduce
from experiments import history, runs
from tests.examples.tiny_grid import NAMES

STEP = 10
HOW = os.environ.get("HOW")
do_plainly = runs.do

if HOW == "two":
    [cpu] = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, parts)


class Killing(history.HistoryFile):
    """Kills its process in the first run, once."""

    def on_train_batch_end(self, batch, logs=None):
        killed = self.path.with_name("killed")
        first = self.path.parent.name == NAMES[0] and not killed.exists()
        if first and self.model.optimizer.iterations == STEP:
            killed.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)


def do(*arguments, **options):
    """`runs.do`, in whatever process."""
    if HOW == "killed":
        history.HistoryFile = Killing
    return do_plainly(*arguments, **options)


if __name__ == "__main__":
    runs.do = do
    reproduce.main(sys.argv[1:])

"""`examples/reproduce.py` as a process of its own that may kill itself, or have two devices.

    python -m tests.examples.reproducing HOW ARGUMENTS...

HOW is a number, "two" or "plainly". With a number it kills itself after that step of its first run.
"""

import os
import signal
import sys

import tensorflow as tf

from examples import reproduce
from experiments import work


class Kill(work.Epochs):
    step = None

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def main(how, *arguments):
    if how == "two":
        [cpu] = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, parts)
    elif how != "plainly":
        Kill.step = int(how)
        work.Epochs = Kill
    reproduce.main(arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])

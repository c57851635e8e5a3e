"""`examples/reproduce.py` as a process of its own that may kill itself.

    python -m tests.examples.reproducing STEP|no ARGUMENTS...

With a STEP it does so after that step of its first run.
"""

import os
import signal
import sys

from examples import reproduce


class Kill(reproduce.Epochs):
    step = None

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def main(step, *arguments):
    if step != "no":
        Kill.step = int(step)
        reproduce.Epochs = Kill
    reproduce.main(arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Doing the runs of a grid that nobody else does."""

import sys
import time

import keras

from experiments import claims, files, runs

POLL_SECONDS = 5.0


class Epochs(keras.callbacks.Callback):
    """Moves the bar of the grid by an epoch."""

    def __init__(self, advance):
        super().__init__()
        self.advance = advance

    def on_epoch_end(self, epoch, logs=None):
        self.advance()


class Work:
    """Does the runs of a plan that nobody else does, up to a number of them."""

    def __init__(self, todo, strategy, data_dir, progress, limit):
        self.plan = todo
        self.strategy = strategy
        self.data_dir = data_dir
        self.progress = progress
        self.allowed = limit
        self.total = todo.epochs_left()
        self.task = progress.add_task("", total=self.total)

    def all(self):
        """Until every run is finished, by this process or by others, or it has done its number."""
        said = False
        while self.allowed > 0 and (left := self.plan.left()):
            # A list: `any` alone would stop at the first.
            if not any([self.claim(run) for run in left]) and self.plan.left():
                if not said:
                    self.say("Waiting for the runs of other processes")
                said = True
                time.sleep(POLL_SECONDS)

    def in_step(self):
        """Run by run; the workers of a cluster do each together, so that nobody claims it."""
        for run in self.plan.left():
            self.do(run)

    def claim(self, run):
        """Does the run if it is nobody else's; returns whether it did."""
        if self.allowed <= 0:
            return False
        with claims.claimed(self.plan.folder(run)) as mine:
            if not mine or self.plan.result(run) is not None:
                return False
            try:
                self.do(run)
            except files.Damaged as error:
                files.say(str(error))
                self.do(run)  # From its start.
            self.allowed -= 1
            return True

    def do(self, run):
        # Others have done runs, too.
        done = self.total - self.plan.epochs_left()
        self.progress.update(self.task, description=run.name, completed=done)
        config, folder = self.plan.config(run), self.plan.folder(run)
        try:
            prepared = runs.prepare(config, folder, self.data_dir, self.strategy)
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            sys.exit(f"{run.name}: {type(error).__name__}: {error}")
        result = runs.train(config, *prepared, folder, more=[Epochs(self.advance)])
        if result:
            accuracy, seconds = 100 * result["test_accuracy"], result["duration"]
            self.say(f"{run.name}: {accuracy:.2f} % in {seconds:.0f} s")

    def advance(self):
        self.progress.advance(self.task)

    def say(self, text):
        self.progress.console.print(text, highlight=False, soft_wrap=True)

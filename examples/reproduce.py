"""Runs a grid of trainings, such as a table of a paper, and reports on it.

    python examples/reproduce.py digits_controls
    python examples/reproduce.py zsharp_table1 --dry-run

CONFIG is one of examples/configs, or a file like them. Every run has a folder in the output, with
`config.json`, `history.csv`, `model.keras` and `result.json`; a finished one is never repeated. The
same command goes on where an interrupted one was, in the middle of its run. Several processes may
be given the same output: each run is done by one of them, and what one leaves when it is killed,
another takes over. At last `report.md` and `report.html` have the tables and pictures.
"""

import argparse
import datetime
import math
import os
import pathlib
import sys
import time

import keras
import tensorflow as tf
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from experiments import claims, plan, report, runs

POLL_SECONDS = 5.0
# TensorFlow keeps some graphs of every model it has trained: 25 MiB by run of `small_cnn`.
RUNS_BY_PROCESS = 25


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
            if mine and self.plan.result(run) is None:
                self.do(run)
                self.allowed -= 1
                return True
        return False

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
            accuracy, seconds = 100 * result["test_accuracy"], result["seconds"]
            self.say(f"{run.name}: {accuracy:.2f} % in {seconds:.0f} s")

    def advance(self):
        self.progress.advance(self.task)

    def say(self, text):
        self.progress.console.print(text, highlight=False, soft_wrap=True)


def distribution(name):
    """The strategy of this name; None where there is none."""
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if name == "multiworker":
        if "TF_CONFIG" not in os.environ:
            raise ValueError("--strategy multiworker needs the environment variable TF_CONFIG")
        return tf.distribute.MultiWorkerMirroredStrategy()
    return None


def describe(todo):
    """What is done and what is left, in words."""
    left = todo.left()
    seconds, unknown = todo.seconds(left)
    duration = str(datetime.timedelta(seconds=round(seconds)))
    cost = "unknown" if left and unknown == len(left) else f"about {duration} for one process"
    if 0 < unknown < len(left):
        cost += f", and {unknown} runs of unknown cost"
    state = (
        f"{todo.grid.title}: {len(todo.runs)} runs, {len(todo.runs) - len(left)} finished, "
        f"{len(left)} left of {todo.epochs_left():,} epochs; expected time: {cost}."
    )
    return "\n".join([state, *(f"Cannot be run: {refused}" for refused in todo.refused())])


def train(todo, strategy, options, limit):
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    try:
        with Progress(*columns, TextColumn("epochs, left"), TimeRemainingColumn()) as progress:
            work = Work(todo, strategy, options.data_dir, progress, limit)
            work.in_step() if options.strategy == "multiworker" else work.all()
    except KeyboardInterrupt:
        sys.exit(f"\nInterrupted; the same command goes on from {options.output}")


def main(arguments=None, limit=math.inf):
    """Returns whether it is through; else another process is to go on."""
    options = parse(arguments)
    train_too = not (options.dry_run or options.report_only)
    try:
        # First of all: TensorFlow takes a cluster at its start only.
        strategy = distribution(options.strategy) if train_too else None
        grid = plan.read(options.config)
        todo = plan.Plan(grid, options.output, options.strategy, options.only)
        print(describe(todo), flush=True)
        if options.dry_run:
            return True
        if train_too and todo.refused():
            raise ValueError("CONFIG asks for what this version of keras_zsharp cannot do")
    except ValueError as error:
        sys.exit(str(error))
    if train_too:
        train(todo, strategy, options, limit)
    if not train_too or runs.is_chief(options.strategy):
        print(f"Written: {report.write(todo)}", flush=True)
    return options.report_only or options.strategy == "multiworker" or not todo.left()


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("config", metavar="CONFIG", help="name in examples/configs, or path of a file")
    add("--output", type=pathlib.Path, help="by default runs/CONFIG")
    add("--dry-run", action="store_true", help="say what there is to do, and stop")
    add("--report-only", action="store_true", help="report on the runs there are")
    add("--only", default="", metavar="TEXT", help="only runs whose name contains this")
    add("--strategy", choices=("none", "mirrored", "multiworker"), default="none")
    add("--deterministic", action="store_true", help="TensorFlow's deterministic ops")
    add("--data-dir", help="folder of tensorflow-datasets")
    options = parser.parse_args(arguments)
    if options.dry_run and options.report_only:
        parser.error("--dry-run and --report-only exclude each other")
    options.output = options.output or pathlib.Path("runs") / pathlib.Path(options.config).stem
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    return options


if __name__ == "__main__" and not main(limit=RUNS_BY_PROCESS):
    os.execv(sys.executable, sys.orig_argv)

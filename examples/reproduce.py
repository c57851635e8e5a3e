"""Runs a grid of trainings, such as a table of a paper, and reports on it.

    python examples/reproduce.py digits_controls
    python examples/reproduce.py zsharp_table1 --dry-run

CONFIG is one of examples/configs, or a file like them. Every run has a folder in the output, with
`config.json`, `history.csv`, `model.keras` and `result.json`; a finished one is never repeated. The
same command goes on where an interrupted one was, in the middle of its run. Several processes may
be given the same output: each run is done by one of them, and what one leaves when it is killed,
another takes over. At last `report.md` and `report.html` have the tables and pictures. They are
computed from `results.csv` and `epochs.csv` beside them, which is all that `--report-only` needs.
"""

import argparse
import datetime
import math
import os
import pathlib
import sys

import tensorflow as tf
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from experiments import files, plan, report, reuse, runs, tables, work

# TensorFlow keeps some graphs of every model it has trained: 25 MiB by run of `small_cnn`.
RUNS_BY_PROCESS = 25


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
    finished = sum(todo.result(run) is not None for run in todo.runs)
    state = (
        f"{todo.grid.title}: {len(todo.runs)} runs, {finished} finished, "
        f"{len(left)} left of {todo.epochs_left():,} epochs; expected time: {cost}."
    )
    return "\n".join([state, *(f"Cannot be run: {refused}" for refused in todo.refused())])


def train(todo, strategy, options, limit):
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    try:
        with Progress(*columns, TextColumn("epochs, left"), TimeRemainingColumn()) as progress:
            doing = work.Work(todo, strategy, options.data_dir, progress, limit)
            doing.in_step() if options.strategy == "multiworker" else doing.all()
    except KeyboardInterrupt:
        sys.exit(f"\nInterrupted; the same command goes on from {options.output}")


def main(arguments=None, limit=math.inf):
    """Returns whether it is through; else another process is to go on."""
    options = parse(arguments)
    try:
        return reproduce(options, limit)
    except OSError as error:
        sys.exit(f"{files.sentence(error)}; with that mended, the same command goes on")


def reproduce(options, limit):
    train_too = not (options.dry_run or options.report_only)
    try:
        # First of all: TensorFlow takes a cluster at its start only.
        strategy = distribution(options.strategy) if train_too else None
        grid = plan.read(options.config)
        todo = plan.Plan(grid, options.output, options.strategy, options.only)
        if options.reuse and train_too:
            print(f"Taken over: {reuse.reuse(todo, options.reuse)} runs")
        if not (options.report_only and tables.are_alone(todo)):
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
        try:
            print(f"Written: {report.write(todo)}", flush=True)
        except ValueError as error:
            sys.exit(str(error))
    return options.report_only or options.strategy == "multiworker" or not todo.left()


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("config", metavar="CONFIG", help="name in examples/configs, or path of a file")
    add("--output", type=pathlib.Path, help="by default runs/CONFIG")
    add("--dry-run", action="store_true", help="say what there is to do, and stop")
    add("--report-only", action="store_true", help="report on the runs, or the CSVs, there are")
    add("--only", default="", metavar="TEXT", help="only runs whose name contains this")
    reuse_help = "take over the finished runs of these outputs that this grid has, too"
    add("--reuse", nargs="+", type=pathlib.Path, metavar="OUTPUT", help=reuse_help)
    add("--strategy", choices=("none", "mirrored", "multiworker"), default="none")
    add("--deterministic", action="store_true", help="TensorFlow's deterministic ops")
    add("--data-dir", help="folder of tensorflow-datasets")
    options = parser.parse_args(arguments)
    if options.dry_run and options.report_only:
        parser.error("--dry-run and --report-only exclude each other")
    if options.reuse and options.strategy == "multiworker":
        parser.error("--reuse and --strategy multiworker exclude each other")
    options.output = options.output or pathlib.Path("runs") / pathlib.Path(options.config).stem
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    return options


if __name__ == "__main__" and not main(limit=RUNS_BY_PROCESS):
    os.execv(sys.executable, sys.orig_argv)

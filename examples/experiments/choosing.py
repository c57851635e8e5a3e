"""Choosing from what a method was run with, by held-out training data alone."""

import statistics

from experiments.grid import grouped

CLEAN, NOISY = "validation_accuracy", "noisy_validation_accuracy"
"""What a result says of held-out data: with the labels that `Recipe` asks for, and with labels as
noisy as those of the training data where the first are clean."""


def groups(runs):
    """The runs of each method in each setting, in order, as lists."""
    return list(grouped(runs, lambda run: (run.setting.label, run.method.label)).values())


def results(told):
    """The results of the finished runs, by their names.

    Args:
        told: What has `grid`, `runs`, and `result`, by run; here and below.
    """
    return {run.name: found for run in told.runs if (found := told.result(run)) is not None}


def wanted(told, finished):
    """The runs that a report takes, as far as is known by now; in order.

    They are all runs, but where the grid has `choosing_seeds`. Then those with other seeds are
    wanted with what was chosen alone, and not before all that it is chosen from are finished.

    Args:
        finished: The `results`.
    """
    names = set()
    for group in groups(told.runs):
        choosing = [run for run in group if _chooses(told.grid, run)]
        names.update(run.name for run in choosing)
        if all(run.name in finished for run in choosing):
            chosen = [best(told.grid, group, finished, key) for key in (CLEAN, NOISY)]
            names.update(run.name for run in group if run.choice_key in chosen)
    return [run for run in told.runs if run.name in names]


def left(told):
    """The wanted runs that are not finished."""
    finished = results(told)
    return [run for run in wanted(told, finished) if run.name not in finished]


def best(grid, group, finished, key):
    """The key of the choice whose runs have the best mean; None where no result says anything.

    The runs that count are those that choose: by the grid's seeds, or all.
    """
    values = {}
    for run in group:
        value = finished.get(run.name, {}).get(key) if _chooses(grid, run) else None
        if value is not None and value == value:  # A table has NaN for what there is not.
            values.setdefault(run.choice_key, []).append(value)
    return max(values, key=lambda choice: statistics.mean(values[choice]), default=None)


def _chooses(grid, run):
    return not (run.choice and grid.choosing_seeds) or run.seed in grid.choosing_seeds

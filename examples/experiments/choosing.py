"""Choosing from what a method was run with, by held-out training data alone."""

import statistics

CLEAN, NOISY = "validation_accuracy", "noisy_validation_accuracy"
"""What a result says of held-out data: with the labels that `Recipe` asks for, and with labels as
noisy as those of the training data where the first are clean."""


def groups(runs):
    """The runs of each method in each setting, in order, as lists."""
    found = {}
    for run in runs:
        found.setdefault((run.setting.label, run.method.label), []).append(run)
    return list(found.values())


def wanted(told):
    """The runs that a report takes, as far as is known by now; in order.

    They are all runs, but where the grid has `choosing_seeds`. Then those with other seeds are
    wanted with what was chosen alone, and not before all that it is chosen from are finished.

    Args:
        told: What has `grid`, `runs`, and `result`, by run.
    """
    names = set()
    for group in groups(told.runs):
        choosing = [run for run in group if _chooses(told.grid, run)]
        names.update(run.name for run in choosing)
        if all(told.result(run) for run in choosing):
            chosen = [best(told, group, key) for key in (CLEAN, NOISY)]
            names.update(run.name for run in group if run.choice in chosen)
    return [run for run in told.runs if run.name in names]


def best(told, group, key):
    """The choice whose finished runs have the best mean; None where no result says anything.

    The runs that count are those that choose: by the grid's seeds, or all.
    """
    values = {}
    for run in group:
        result = told.result(run) if _chooses(told.grid, run) else None
        value = result and result.get(key)
        if value is not None and value == value:  # A table has NaN for what there is not.
            values.setdefault(tuple(run.choice.items()), []).append(value)
    if not values:
        return None
    return dict(max(values, key=lambda choice: statistics.mean(values[choice])))


def _chooses(grid, run):
    return not (run.choice and grid.choosing_seeds) or run.seed in grid.choosing_seeds

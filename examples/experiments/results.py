"""What the runs of a grid come to: a data frame with a line a run, and what is computed from it."""

import math
import statistics

import pandas as pd

CLEAN, NOISY = "validation_accuracy", "noisy_validation_accuracy"
"""What a result says of held-out data: with the labels that `Recipe` asks for, and with labels as
noisy as those of the training data where the first are clean."""
ALIKE = 1e-6
"""Differences of accuracies in % below this are none: one of ten million images makes as much."""


def frame(grid, runs, results):
    """The runs by their names: labels, results, and which arguments are chosen.

    A grid with `choosing_seeds` wants the runs with other seeds for the chosen arguments alone, and
    only when all that they are chosen from are finished.

    Args:
        grid: Their `Grid`.
        runs: In order.
        results: A data frame with a line for each finished run, whose column "run" has its name.

    Returns:
        A data frame. `value` is the argument of the choice, where it is one; `axis` that of the
        grid's axis; `chosen` and `by_noisy` are what clean and noisy held-out labels choose.
    """
    told = pd.DataFrame([_labels(grid, run) for run in runs]).set_index("run")
    told = told.join(results.set_index("run"))
    told["finished"] = told.index.isin(results["run"])
    groups = [_choose(group) for _, group in told.groupby(["setting", "method"], sort=False)]
    return pd.concat(groups).loc[told.index]


def _choose(group):
    """A method in a setting, with what is chosen, and which runs are wanted as far as is known."""
    choosing = group[group["chooses"]]
    clean, noisy = best(choosing, CLEAN), best(choosing, NOISY)
    wanted = choosing["finished"].all() & group["choice"].isin([clean, noisy])
    first = group["choice"].iloc[0]
    choices = {"chosen": first if clean is None else clean, "by_noisy": noisy}
    choices = pd.DataFrame(choices, group.index, dtype=object)
    return group.assign(wanted=group["chooses"] | wanted).join(choices)


def left(told):
    """The names of the wanted runs that are not finished."""
    return set(told.index[told["wanted"] & ~told["finished"]])


def _labels(grid, run):
    arguments = {**run.config, **run.rule_settings}
    [value] = run.choice.values() if len(run.choice) == 1 else [None]
    return {
        "run": run.name,
        "setting": run.setting.label,
        "network": f"{run.setting.network} on {run.setting.dataset}",
        "method": run.method.label,
        "line": run.method.line or run.method.label,
        "choice": ", ".join(f"{name}={value}" for name, value in run.choice.items()),
        "value": value,
        "axis": arguments.get(grid.axis),
        "seed": run.seed,
        "chooses": not (run.choice and grid.choosing_seeds) or run.seed in grid.choosing_seeds,
    }


def best(choosing, key):
    """The choice whose runs have the best mean; None where no result says anything."""
    means = choosing.dropna(subset=key).groupby("choice", sort=False)[key].agg(statistics.mean)
    return means.idxmax() if len(means) else None


def chosen(told, by="chosen"):
    """The finished runs with chosen arguments."""
    return told[(told["choice"] == told[by]) & told["finished"]]


def percent(told, key="test_accuracy"):
    """An accuracy in %, by seed."""
    return 100 * told.set_index("seed")[key]


def seconds(epochs, runs):
    """What one of these runs takes, in seconds: of each epoch, the median over the runs.

    Epochs of different cost count as what they are, and what disturbed one run does not. The first
    epoch, which has the compilation, counts as the second.
    """
    epochs = epochs[epochs["run"].isin(runs.index)]
    medians = epochs.groupby("epoch")["seconds"].median().tolist()
    return sum(medians[1:]) + medians[:2][-1]


def mean_std(values):
    """Mean, and the sample's standard deviation; None for it where there is but one value."""
    values = list(values)
    return statistics.mean(values), statistics.stdev(values) if values[1:] else None


def spread(mean, std):
    return f"{mean:.2f}" if std is None else f"{mean:.2f} ± {std:.2f}"


def difference(mine, its):
    """The mean difference of values by seed with its 95 % interval by Student's t, as text.

    The second text is the difference that so many seeds with this variance would show to be none of
    chance (two-sided, at 5 %) four times in five. There is no interval with fewer than two common
    seeds, or where the difference is the same with all of them.
    """
    from scipy import stats

    differences = (mine - its).dropna()
    if differences.empty:
        return "", ""
    mean, std = mean_std(differences)
    if std is None or differences.max() - differences.min() < ALIKE:
        return f"{mean:+.2f}", ""
    error = std / math.sqrt(len(differences))
    at_five, four_in_five = error * stats.t.ppf((0.975, 0.8), len(differences) - 1)
    interval = f"{mean:+.2f} [{mean - at_five:+.2f}, {mean + at_five:+.2f}]"
    return interval, f"{at_five + four_in_five:.2f}"

"""The numbers of a report: what the runs of a grid come to."""

import dataclasses
import math
import statistics
from collections.abc import Mapping

from experiments import choosing
from experiments.grid import Method, Setting, grouped

ALIKE = 1e-6
"""Differences of accuracies in % below this are none: one of ten million images makes as much."""


@dataclasses.dataclass(frozen=True)
class Arm:
    """The runs of a method in a setting with one choice of its arguments; results by seed."""

    setting: Setting
    method: Method
    choice: Mapping
    runs: tuple
    results: Mapping

    def values(self, key):
        """A key's values by seed, in the seeds' order."""
        return {seed: self.results[seed][key] for seed in sorted(self.results)}

    def percent(self, key="test_accuracy"):
        return {seed: 100 * value for seed, value in self.values(key).items()}

    def argument(self, name):
        """A rule's argument, or else a field of the recipe, or None."""
        run = self.runs[0]
        return run.rule_settings.get(name, getattr(run.recipe, name, None))


@dataclasses.dataclass(frozen=True)
class Row:
    """A method in a setting: the arms there are, and the chosen one.

    Attributes:
        by_noisy: The arm that noisy held-out labels choose, where `chosen` is by clean ones.
        planned: How many runs are wanted.
    """

    setting: Setting
    method: Method
    arms: tuple
    chosen: Arm
    by_noisy: Arm | None
    planned: int

    @property
    def finished(self):
        return sum(len(arm.results) for arm in self.arms)


def rows(tables):
    """All rows, setting by setting."""
    finished = choosing.results(tables)
    wanted = {run.name for run in choosing.wanted(tables, finished)}
    return [_row(tables.grid, group, finished, wanted) for group in choosing.groups(tables.runs)]


def _row(grid, group, finished, wanted):
    choices = grouped(group, lambda run: run.choice_key)
    arms = {choice: _arm(runs, finished) for choice, runs in choices.items()}
    first = next(iter(arms.values()))
    clean, noisy = (
        arms.get(choosing.best(grid, group, finished, key))
        for key in (choosing.CLEAN, choosing.NOISY)
    )
    planned = sum(run.name in wanted for run in group)
    return Row(first.setting, first.method, tuple(arms.values()), clean or first, noisy, planned)


def _arm(runs, finished):
    results = {run.seed: finished[run.name] for run in runs if run.name in finished}
    return Arm(runs[0].setting, runs[0].method, runs[0].choice, tuple(runs), results)


def curves(tables, arm, key):
    """A column of the epochs of an arm's finished runs, a list of values for each."""
    return [tables.curve(run, key) for run in arm.runs if run.seed in arm.results]


def seconds(tables, arm):
    """What a run of an arm takes, in seconds: of each epoch, the median over the arm's runs.

    Epochs of different cost count as what they are, and what disturbed one run does not. The first
    epoch, which has the compilation, counts as the second.
    """
    first, *others = map(statistics.median, zip(*curves(tables, arm, "seconds"), strict=True))
    return sum(others) + (others[0] if others else first)


def mean_std(values):
    """Mean, and the sample's standard deviation; None for it where there is but one value."""
    values = list(values)
    return statistics.mean(values), statistics.stdev(values) if values[1:] else None


@dataclasses.dataclass(frozen=True)
class Difference:
    """Between two arms, seed by seed.

    Attributes:
        mean: Of the differences.
        low, high: Their 95 % interval by Student's t; None with fewer than two seeds, or where the
            difference is the same with every seed, so that it has no variance.
        detectable: The difference that so many seeds with this variance would show to be none of
            chance (two-sided, at 5 %) four times in five; None where there is no interval.
    """

    mean: float
    low: float | None = None
    high: float | None = None
    detectable: float | None = None


def difference(arm, reference):
    """The `Difference` of two arms' accuracies, in points of a per cent; None without seeds."""
    return paired(arm.percent(), reference.percent())


def paired(mine, its):
    """The `Difference` of values by seed, over the seeds that both have; None without any."""
    from scipy import stats

    differences = [mine[seed] - its[seed] for seed in mine if seed in its]
    if not differences:
        return None
    mean, std = mean_std(differences)
    if std is None or max(differences) - min(differences) < ALIKE:
        return Difference(mean)
    freedom, error = len(differences) - 1, std / math.sqrt(len(differences))
    at_five, four_in_five = stats.t.ppf((0.975, 0.8), freedom)
    return Difference(
        mean,
        mean - at_five * error,
        mean + at_five * error,
        (at_five + four_in_five) * error,
    )

"""The numbers of a report: what the runs of a grid come to."""

import dataclasses
import math
import statistics
import warnings
from collections.abc import Mapping

from experiments import history
from experiments.grid import Method, Setting

EXACT = 1e-12


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

    @property
    def validation(self):
        """Mean accuracy on the validation data, in %; below every other where there is none."""
        return statistics.mean(self.percent("validation_accuracy").values()) if self.results else -1

    def argument(self, name):
        """A rule's argument, or else a field of the recipe, or None."""
        run = self.runs[0]
        return run.rule_settings.get(name, getattr(run.recipe, name, None))


@dataclasses.dataclass(frozen=True)
class Row:
    """A method in a setting: the arms there are, and the one with the best validation."""

    setting: Setting
    method: Method
    arms: tuple
    chosen: Arm
    planned: int

    @property
    def finished(self):
        return sum(len(arm.results) for arm in self.arms)


def rows(plan):
    """All rows, setting by setting."""
    by_row = {}
    for run in plan.runs:
        choices = by_row.setdefault((run.setting.label, run.method.label), {})
        choices.setdefault(tuple(run.choice.items()), []).append(run)
    return [_row(plan, list(choices.values())) for choices in by_row.values()]


def _row(plan, choices):
    arms = []
    for of_choice in choices:
        results = {run.seed: result for run in of_choice if (result := plan.result(run))}
        first = of_choice[0]
        arms.append(Arm(first.setting, first.method, first.choice, tuple(of_choice), results))
    chosen = max(arms, key=lambda arm: arm.validation) if arms[1:] else arms[0]
    planned = sum(len(arm.runs) for arm in arms)
    return Row(chosen.setting, chosen.method, tuple(arms), chosen, planned)


def curves(plan, arm, key):
    """A column of the histories of an arm's finished runs, a list of values for each."""
    recipe = arm.runs[0].recipe
    paths = [plan.folder(run) / "history.csv" for run in arm.runs if run.seed in arm.results]
    told = [history.read(path, recipe.epochs, recipe.validation) for path in paths]
    return [[row[key] for row in rows] for rows in told]


def seconds(plan, arm):
    """What an arm's runs took, in seconds: the epochs, each as long as the median one.

    The first one's compilation is left out, and whatever else ran beside one of them.
    """
    return [statistics.median(told) * len(told) for told in curves(plan, arm, "seconds")]


def mean_std(values):
    """Mean, and the sample's standard deviation; None for it where there is but one value."""
    values = list(values)
    return statistics.mean(values), statistics.stdev(values) if values[1:] else None


def difference(arm, reference):
    """Of two arms' accuracies in % over the seeds of both: the mean, and p of a paired t-test.

    p is two-sided, and None where there is none: with fewer than two seeds, or where the difference
    is the same with every seed, so that it has no variance.
    """
    from scipy import stats

    mine, its = arm.percent(), reference.percent()
    seeds = [seed for seed in mine if seed in its]
    if not seeds:
        return None, None
    differences = [mine[seed] - its[seed] for seed in seeds]
    mean = statistics.mean(differences)
    if len(seeds) < 2 or max(differences) - min(differences) < EXACT * 100:
        return mean, None
    with warnings.catch_warnings():
        # Of differences that are nearly alike, which is what a small p says.
        warnings.simplefilter("ignore", RuntimeWarning)
        p = stats.ttest_rel([mine[s] for s in seeds], [its[s] for s in seeds]).pvalue
    return mean, None if math.isnan(p) else float(p)

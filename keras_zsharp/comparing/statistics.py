"""Differences between methods, seed by seed."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

ALIKE = 1e-12
"""Differences that vary by less are the same for every seed."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """A mean of differences, seed by seed.

    Attributes:
        mean: The mean.
        low: The lower end of its 95 % interval by Student's t.
        high: The upper end.
        could_show: The difference that would have an interval without 0 four times in five, with so
            many seeds that scatter like these.

    All but `mean` are NaN with fewer than two common seeds, or where all differences are the same.
    """

    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    could_show: float = math.nan


def difference(mine: Any, reference: Any) -> Difference:
    """The `Difference` of two pandas Series of a metric by seed, over the seeds of both."""
    from scipy import stats

    differences = (mine - reference).dropna()
    if differences.empty:
        return Difference()
    mean = float(differences.mean())
    if len(differences) < 2 or differences.max() - differences.min() < ALIKE:
        return Difference(mean)
    error = differences.std() / math.sqrt(len(differences))
    at_five, four_in_five = error * stats.t.ppf((0.975, 0.8), len(differences) - 1)
    return Difference(mean, mean - at_five, mean + at_five, at_five + four_in_five)

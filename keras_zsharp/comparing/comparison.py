"""What a comparison has found."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from keras_zsharp import checks
from keras_zsharp.comparing import pictures
from keras_zsharp.comparing.method import as_text, in_words
from keras_zsharp.comparing.statistics import difference
from keras_zsharp.typing import Path

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

KEY = ("method", "choice", "seed")
"""The columns that say which run a row is of. A choice is JSON."""
FILES = {"runs": "runs.csv", "epochs": "epochs.csv"}
SETTINGS = "comparison.json"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The runs of `compare`, and what follows from them.

    Attributes:
        runs: A data frame with a row for each run: `method`, `choice` (the values to choose from,
            as JSON), `seed`, `failed` (why, empty if it has not), and a column for each number.
        epochs: A data frame with a row for each epoch of a run that has a history.
        metric: The metric that is compared.
        mode: `"min"` if it is better lower, `"max"` if higher.
        choose_by: The metric that chooses values.
        reference: Label of the method that the others are compared with.
        provenance: A data frame of versions, commit, hardware, date and command, with the number of
            runs that have them.
    """

    runs: pd.DataFrame
    epochs: pd.DataFrame
    metric: str
    mode: str
    choose_by: str | None
    reference: str
    provenance: pd.DataFrame

    @classmethod
    def of(
        cls,
        outcomes: Iterable[Any],
        metric: str,
        mode: str,
        choose_by: str | None,
        reference: str,
    ) -> Comparison:
        """The comparison of runs.

        Args:
            outcomes: Runs, each with what it has returned and why it has failed.
            metric: As in `compare`.
            mode: `"min"` or `"max"`.
            choose_by: As in `compare`.
            reference: As in `compare`.
        """
        import pandas as pd

        runs, epochs, sources = [], [], []
        for run, found, why in outcomes:
            key = dict(zip(KEY, (run.label, as_text(run.choice), run.seed), strict=True))
            runs.append({**key, "failed": why, **(found["metrics"] if found else {})})
            if found:
                epochs.append(pd.DataFrame({**key, **_by_epoch(found["history"])}))
                sources.append(found["provenance"])
        epochs = [each for each in epochs if len(each)]
        return cls(
            pd.DataFrame(runs),
            pd.concat(epochs, ignore_index=True) if epochs else pd.DataFrame(columns=KEY),
            *(metric, mode, choose_by, reference),
            _counted(pd.DataFrame(sources)),
        )

    @property
    def labels(self) -> list[str]:
        """The labels of the methods."""
        return list(dict.fromkeys(self.runs["method"]))

    @property
    def failed(self) -> dict[tuple[str, str, int], str]:
        """Why runs have failed, by method, choice and seed."""
        its = self.runs[self.runs["failed"] != ""]
        return dict(zip(zip(*(its[name] for name in KEY), strict=True), its["failed"], strict=True))

    @functools.cached_property
    def choices(self) -> dict[str, str]:
        """By label, the choice with the best mean of `choose_by`; the first, if there is none.

        The seeds that all choices of a method were run with count, and no others: with
        `choosing_seeds="first"`, a value that was chosen has more. A choice with which a run has
        failed, or has no number, comes after all others.
        """
        return {label: self._best(its) for label, its in self.runs.groupby("method", sort=False)}

    def _best(self, runs):
        if self.choose_by not in runs:
            return runs["choice"].iloc[0]
        tried = runs.groupby("seed")["choice"].nunique()
        choosing = runs[runs["seed"].map(tried) == runs["choice"].nunique()]
        choosing = runs if choosing.empty else choosing
        by_choice = choosing.groupby("choice", sort=False)[self.choose_by]
        scores = by_choice.agg(lambda its: its.mean() if its.notna().all() else math.nan)
        scores = by_choice.mean() if scores.isna().all() else scores
        if scores.isna().all():
            return runs["choice"].iloc[0]
        return scores.idxmin() if self.mode == "min" else scores.idxmax()

    @functools.cached_property
    def chosen(self) -> pd.DataFrame:
        """The runs with the chosen values that have not failed."""
        is_chosen = self.runs["choice"] == self.runs["method"].map(self.choices)
        return self.runs[is_chosen & (self.runs["failed"] == "")]

    def series(self, label: str, metric: str | None = None) -> pd.Series:
        """A metric of the chosen runs of a method, by seed.

        Args:
            label: Of the method.
            metric: Its name. None is the metric that is compared.
        """
        its = self.chosen
        return its[its["method"] == label].set_index("seed")[metric or self.metric]

    def difference(self, label: str, reference: str | None = None) -> Any:
        """The `Difference` of two methods, seed by seed: `mean`, `low`, `high` and `could_show`.

        Args:
            label: Of the method.
            reference: Label of the method to subtract. None is the comparison's.
        """
        return difference(self.series(label), self.series(reference or self.reference))

    def best_epoch(self, label: str) -> float:
        """The metric of each chosen run's best epoch, as a mean over seeds.

        It is no result: the metric's own data tell which epoch that is. It says what stopping in
        time could gain. NaN without a history of the metric.

        Args:
            label: Of the method.
        """
        if self.metric not in self.epochs:
            return math.nan
        by_seed = self.history(label).groupby("seed")[self.metric]
        return float((by_seed.min() if self.mode == "min" else by_seed.max()).mean())

    def history(self, label: str) -> pd.DataFrame:
        """The epochs of a method's chosen runs.

        Args:
            label: Of the method.
        """
        is_chosen = self.epochs["choice"] == self.choices[label]
        return self.epochs[is_chosen & (self.epochs["method"] == label)]

    def table(self) -> pd.DataFrame:
        """One row a method, in the order of `methods`.

        Returns:
            A data frame by label: `chosen`, the values in words; `runs`, their number; `mean` and
            `std`, of `metric` over seeds with the sample's deviation; `difference` from the
            reference, seed by seed, with `low` and `high`, the ends of its 95 % interval by
            Student's t, with no correction for the number of comparisons; `could_show`, the
            difference that so many seeds with this scatter would show four times in five;
            `seconds`, those of a run; `passes`, if runs tell.
        """
        import pandas as pd

        lines = {}
        for label, choice in self.choices.items():
            values = self.series(label)
            line = {"chosen": in_words(choice), "runs": len(values)}
            line |= {"mean": values.mean(), "std": values.std()}
            its = self.difference(label)
            if label != self.reference:
                line |= {"difference": its.mean, "low": its.low, "high": its.high}
                line |= {"could_show": its.could_show}
            line["seconds"] = self.seconds(label)
            if "passes" in self.runs:
                line["passes"] = self.series(label, "passes").mean()
            lines[label] = line
        return pd.DataFrame.from_dict(lines, orient="index").rename_axis("method")

    def seconds(self, label: str) -> float:
        """What a run with the chosen values takes.

        Where there is a history with `seconds`: of each epoch the median over the runs, so that
        what disturbs one run does not count. The first epoch, which has the compilation, counts as
        the second.

        Args:
            label: Of the method.
        """
        if "seconds" in self.epochs:
            medians = self.history(label).groupby("epoch")["seconds"].median().tolist()
            if medians:
                return sum(medians[1:]) + medians[:2][-1]
        return float(self.series(label, "seconds").median())

    def plot(
        self, kind: Literal["differences", "choices", "epochs", "seconds"] = "differences"
    ) -> Figure:
        """Draws the comparison.

        Args:
            kind: `"differences"` from the reference, with intervals; the metric over the values to
                choose from (`"choices"`), over the epochs, or over the seconds of a run.

        Returns:
            A matplotlib figure.

        Raises:
            ImportError: matplotlib is missing.
            ValueError: There is nothing to draw: no history, no values to choose from.
        """
        checks.one_of("kind", kind, *pictures.KINDS)
        return pictures.KINDS[kind](self)

    def save(self, folder: Path) -> None:
        """Writes `runs.csv`, `epochs.csv`, and the rest as `comparison.json`.

        Args:
            folder: It is made if it is not there.
        """
        folder = pathlib.Path(checks.path("folder", folder))
        folder.mkdir(parents=True, exist_ok=True)
        for name, file in FILES.items():
            getattr(self, name).to_csv(folder / file, index=False)
        names = ("metric", "mode", "choose_by", "reference")
        settings = {name: getattr(self, name) for name in names}
        settings["provenance"] = self.provenance.to_dict("records")
        (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Comparison:
        """Reads what `save` has written.

        Args:
            folder: That of `save`.

        Raises:
            OSError: A file is missing.
            ValueError: A file is damaged.
        """
        pd = need_pandas()
        folder = pathlib.Path(checks.path("folder", folder))
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        texts = dict.fromkeys(("method", "choice", "failed"), str)
        frames = {n: pd.read_csv(folder / f, dtype=texts) for n, f in FILES.items()}
        for name, frame in frames.items():
            if missing := [column for column in KEY if column not in frame]:
                raise ValueError(f"{folder / FILES[name]} has no column {', '.join(missing)}")
        frames["runs"]["failed"] = frames["runs"]["failed"].fillna("")
        settings["provenance"] = pd.DataFrame(settings["provenance"])
        return cls(**frames, **settings)


def need_pandas() -> Any:
    """The module.

    Raises:
        ImportError: pandas or SciPy is missing.
    """
    try:
        import pandas
        import scipy  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "`compare` needs pandas and SciPy: pip install 'keras-zsharp[compare]'"
        ) from error
    return pandas


def _by_epoch(history):
    """The history as columns, the shorter ones without values at their ends."""
    length = max(map(len, history.values()), default=0)
    columns = {name: [*its, *[None] * (length - len(its))] for name, its in history.items()}
    return {"epoch": range(length), **columns}


def _counted(sources):
    """How many runs note the same of themselves."""
    if sources.empty:
        return sources
    return sources.groupby(list(sources), sort=False).size().rename("runs").reset_index()

"""What a report is computed from: `results.csv`, a line a run, and `epochs.csv`, a line an epoch.

They lie beside the report, and are all that it takes to compute it again.
"""

import json

import pandas as pd

from experiments import choosing, files, folders, history

RESULTS, EPOCHS = "results.csv", "epochs.csv"
NUMBERS = (*folders.NUMBERS, choosing.CLEAN, choosing.NOISY, "epochs")
SOURCES = ("versions", "provenance")
"""What says where a result is from, as JSON."""
RUN = ("run", *NUMBERS, "settings", *SOURCES)
EPOCH = ("run", *history.COLUMNS)


class Tables:
    """The finished runs of a plan.

    Attributes:
        grid: The plan's.
        runs: The plan's, finished or not.
        output: The plan's folder.
    """

    def __init__(self, plan, results, epochs):
        self.grid, self.runs, self.output = plan.grid, plan.runs, plan.output
        self._results = {line["run"]: line for line in results.to_dict("records")}
        self._epochs = dict(iter(epochs.groupby("run")))
        for run in self.runs:
            self._check(run, settings(plan, run))

    def _check(self, run, its):
        line = self.result(run)
        if line is None:
            return
        if line["settings"] != its:
            raise ValueError(f"{self.output / RESULTS} has the run {run.name} with other settings")
        told = len(self._epochs.get(run.name, ()))
        if told != run.recipe.epochs:
            raise ValueError(
                f"{self.output / EPOCHS} must have {run.recipe.epochs} epochs of the run "
                f"{run.name}. It has {told}"
            )

    def result(self, run):
        """A finished run's line, as a dict; None of another run."""
        return self._results.get(run.name)

    def left(self):
        """The runs that are not finished, as far as is known by now."""
        return choosing.left(self)

    def source(self, run):
        """What a finished run notes of where it is from, as a flat dict; None of another run."""
        line = self.result(run)
        noted = [json.loads(line[name]) for name in SOURCES] if line else []
        return {name: value for found in noted for name, value in found.items()} or None

    def curve(self, run, column):
        """A finished run's values by epoch, as a list."""
        return self._epochs[run.name][column].tolist()


def are_alone(plan):
    """Whether the plan's folder has tables and no runs."""
    runs = any(plan.folder(run).exists() for run in plan.runs)
    return (plan.output / RESULTS).exists() and not runs


def of(plan):
    """The `Tables` of a plan's runs, which are written; in a folder without runs, those it has.

    Raises:
        ValueError: A table is damaged, or of other settings than the plan's.
    """
    if not are_alone(plan):
        _write(plan)
    return Tables(plan, *read(plan.output))


def read(output):
    """The two tables in a folder, as data frames.

    Raises:
        ValueError: One is missing or damaged.
    """
    try:
        tables = [pd.read_csv(output / name) for name in (RESULTS, EPOCHS)]
        for table, columns in zip(tables, (RUN, EPOCH), strict=True):
            # Tables of before there was a second choice have no column for it.
            if missing := [n for n in columns if n not in (*table, choosing.NOISY)]:
                raise KeyError(missing[0])
    except (OSError, KeyError, pd.errors.ParserError) as error:
        raise ValueError(f"{output} has no whole {RESULTS} and {EPOCHS}: {error}") from error
    return tables


def _write(plan):
    results, epochs = [], []
    for run in plan.runs:
        if (found := plan.result(run)) is None:
            continue
        numbers = {name: found.get(name) for name in NUMBERS}
        noted = {name: json.dumps(found.get(name, {})) for name in SOURCES}
        results.append({"run": run.name, **numbers, "settings": settings(plan, run), **noted})
        told = history.read(
            plan.folder(run) / "history.csv", run.recipe.epochs, run.recipe.validation
        )
        epochs.extend({"run": run.name, **row, "epoch": int(row["epoch"])} for row in told)
    plan.output.mkdir(parents=True, exist_ok=True)
    for name, lines, columns in ((RESULTS, results, RUN), (EPOCHS, epochs, EPOCH)):
        table = pd.DataFrame(lines) if lines else pd.DataFrame(columns=columns)
        with files.whole(plan.output / name) as partial:
            # As many digits as tell single-precision numbers apart.
            table.to_csv(partial, index=False, float_format="%.9g")


def settings(plan, run):
    """A run's settings as text, by which runs are the same."""
    return json.dumps(plan.config(run), sort_keys=True)

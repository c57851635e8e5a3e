"""What a report is computed from: `results.csv`, a line a run, and `epochs.csv`, a line an epoch.

They lie beside the report, and are all that it takes to compute it again.
"""

import dataclasses
import json

import pandas as pd

from experiments import files, folders, history, results
from experiments.grid import Grid

RESULTS, EPOCHS = "results.csv", "epochs.csv"
NUMBERS = (*folders.NUMBERS, results.CLEAN, results.NOISY, "epochs")
SOURCES = ("versions", "provenance")
"""What says where a result is from, as JSON."""
RUN = ("run", *NUMBERS, "settings", *SOURCES)
EPOCH = ("run", *history.COLUMNS)


@dataclasses.dataclass(frozen=True)
class Tables:
    """The runs of a plan, as `results.frame` has them, and the epochs of the finished ones."""

    grid: Grid
    runs: pd.DataFrame
    epochs: pd.DataFrame


def of(plan):
    """The `Tables` of a plan: in a folder without runs, those that are there; else it writes them.

    Tables that are damaged, or of other settings than the plan's, are a `ValueError`.
    """
    if not are_alone(plan.output):
        write(plan.output, plan.tables())
    told, epochs = read(plan.output)
    runs = results.frame(plan.grid, plan.runs, told)
    lengths = epochs["run"].value_counts()
    for run in (run for run in plan.runs if runs["finished"][run.name]):
        if runs["settings"][run.name] != plan.settings(run):
            raise ValueError(f"{plan.output / RESULTS} has the run {run.name} with other settings")
        if (length := lengths.get(run.name, 0)) != run.recipe.epochs:
            raise ValueError(
                f"{plan.output / EPOCHS} must have {run.recipe.epochs} epochs of the run "
                f"{run.name}. It has {length}"
            )
    return Tables(plan.grid, runs, epochs)


def of_runs(finished):
    """The two tables of `Finished` runs, by their names."""
    lines = [
        {"run": name, **{number: run.result.get(number) for number in NUMBERS}}
        | {"settings": text(run.settings)}
        | {source: json.dumps(run.result.get(source, {})) for source in SOURCES}
        for name, run in finished.items()
    ]
    epochs = pd.DataFrame(columns=EPOCH)
    if finished:
        told = {name: run.history for name, run in finished.items()}
        epochs = pd.concat(told, names=["run"]).reset_index("run")
    return pd.DataFrame(lines, columns=RUN), epochs


def text(settings):
    """A run's settings as text, by which runs are the same."""
    return json.dumps(settings, sort_keys=True)


def are_alone(output):
    """Whether a folder has tables and no runs."""
    return (output / RESULTS).exists() and not any(output.glob("*/config.json"))


def write(output, tables):
    output.mkdir(parents=True, exist_ok=True)
    for name, table in zip((RESULTS, EPOCHS), tables, strict=True):
        with files.whole(output / name) as partial:
            # As many digits as tell single-precision numbers apart.
            table.to_csv(partial, index=False, float_format="%.9g")


def read(output):
    """The two tables in a folder; one that is missing or damaged is a `ValueError`."""
    try:
        told, epochs = (pd.read_csv(output / name) for name in (RESULTS, EPOCHS))
        for table, columns in ((told, RUN), (epochs, EPOCH)):
            # Older tables have no column for a second choice.
            if missing := [n for n in columns if n not in (*table, results.NOISY)]:
                raise KeyError(missing[0])
    except (OSError, KeyError, pd.errors.ParserError) as error:
        raise ValueError(f"{output} has no whole {RESULTS} and {EPOCHS}: {error}") from error
    return told.reindex(columns=RUN), epochs


def finished(output):
    """The `Finished` runs of any output: of its runs' folders or, without any, of its tables."""
    if paths := sorted(output.glob("*/config.json")):
        return list(filter(None, (folders.look(path.parent) for path in paths)))
    told, epochs = read(output)
    # Of these two alone a result may have none; a loss may be NaN.
    choices = told[[results.CLEAN, results.NOISY]].astype(object)
    told = told.assign(**choices.where(choices.notna(), None))
    by_run = dict(iter(epochs.drop(columns="run").groupby(epochs["run"])))
    return [
        folders.Finished(
            json.loads(line["settings"]),
            {name: line[name] for name in NUMBERS} | {n: json.loads(line[n]) for n in SOURCES},
            by_run[line["run"]],
        )
        for line in told.to_dict("records")
        if line["run"] in by_run
    ]

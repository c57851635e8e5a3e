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
    """The `Tables` of a plan. Those of its runs are written; in a folder without runs, read.

    Raises:
        ValueError: A table is damaged, or of other settings than the plan's.
    """
    if not are_alone(plan.output):
        write(plan.output, *of_runs(plan.finished))
    told, epochs = read(plan.output)
    lines, lengths = told.set_index("run")["settings"], epochs["run"].value_counts()
    for run in plan.runs:
        if run.name not in lines.index:
            continue
        if lines[run.name] != plan.settings(run):
            raise ValueError(f"{plan.output / RESULTS} has the run {run.name} with other settings")
        if (length := lengths.get(run.name, 0)) != run.recipe.epochs:
            raise ValueError(
                f"{plan.output / EPOCHS} must have {run.recipe.epochs} epochs of the run "
                f"{run.name}. It has {length}"
            )
    return Tables(plan.grid, results.frame(plan.grid, plan.runs, told), epochs)


def of_runs(finished):
    """The two tables of finished runs, by their names."""
    lines, epochs = [], []
    for name, run in finished.items():
        numbers = {number: run.result.get(number) for number in NUMBERS}
        noted = {source: json.dumps(run.result.get(source, {})) for source in SOURCES}
        lines.append({"run": name, **numbers, "settings": text(run.settings), **noted})
        epochs.append(run.history.assign(run=name))
    epochs = pd.concat(epochs) if epochs else pd.DataFrame(columns=EPOCH)
    epochs = epochs[["run", *epochs.columns.drop("run")]]
    return pd.DataFrame(lines, columns=RUN), epochs


def text(settings):
    """A run's settings as text, by which runs are the same."""
    return json.dumps(settings, sort_keys=True)


def are_alone(output):
    """Whether a folder has tables and no runs."""
    return (output / RESULTS).exists() and not any(output.glob("*/config.json"))


def write(output, *tables):
    output.mkdir(parents=True, exist_ok=True)
    for name, table in zip((RESULTS, EPOCHS), tables, strict=True):
        with files.whole(output / name) as partial:
            # As many digits as tell single-precision numbers apart.
            table.to_csv(partial, index=False, float_format="%.9g")


def read(output):
    """The two tables in a folder.

    Raises:
        ValueError: One is missing or damaged.
    """
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
    """The `experiments.folders.Finished` runs of an output: its folders, or else its tables."""
    if paths := sorted(output.glob("*/config.json")):
        return list(filter(None, (folders.look(path.parent) for path in paths)))
    told, epochs = read(output)
    lines = dict(iter(epochs.drop(columns="run").groupby(epochs["run"])))
    return [
        folders.Finished(
            json.loads(line["settings"]),
            {name: line.get(name) for name in NUMBERS}
            | {name: json.loads(line[name]) for name in SOURCES},
            lines[line["run"]],
        )
        for line in told.to_dict("records")
        if line["run"] in lines
    ]

"""Taking over what another grid has finished: many share runs, such as the optimizer's alone."""

import json
import math

from experiments import files, folders, tables


def reuse(plan, outputs, other_versions=False):
    """Restores in the plan's output what the tables of others have of the same runs.

    A restored run has no `model.keras`.

    Args:
        plan: An `experiments.plan.Plan`.
        outputs: Folders with `results.csv` and `epochs.csv`.
        other_versions: Whether runs of other versions are the same.

    Returns:
        How many there were.
    """
    found = {}
    for output in outputs:
        results, epochs = tables.read(output)
        lines = dict(iter(epochs.groupby("run")))
        for line in results.to_dict("records"):
            same = folders.versions().items() <= json.loads(line["versions"]).items()
            if (other_versions or same) and line["run"] in lines:
                found[line["settings"]] = line, lines[line["run"]]
    restored = 0
    # What others want may depend on what has been restored.
    while now := [run for run in plan.left() if tables.settings(plan, run) in found]:
        for run in now:
            _restore(plan.folder(run), *found[tables.settings(plan, run)])
        restored += len(now)
    return restored


def _restore(folder, line, epochs):
    numbers = {name: _number(line.get(name)) for name in tables.NUMBERS}
    versions, source = (json.loads(line[name]) for name in tables.SOURCES)
    with files.locked(folder, wait=True):
        folders.start_over(folder)
        settings = json.loads(line["settings"])
        files.write(folder / "config.json", {**settings, "versions": versions})
        with files.whole(folder / "history.csv") as partial:
            epochs.drop(columns="run").dropna(axis="columns").to_csv(partial, index=False)
        # At last: with it the run is finished.
        outcome = {**numbers, "versions": versions, "provenance": source}
        files.write(folder / "result.json", outcome)


def _number(value):
    return None if value is None or math.isnan(value) else value

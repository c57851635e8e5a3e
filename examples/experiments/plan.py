"""What there is to do: a grid read from a config, and the state of its runs in a folder."""

import difflib
import json
import pathlib
import runpy
import statistics
from collections import defaultdict

from experiments import choosing, files, folders, parts
from experiments.grid import Grid

CONFIGS = pathlib.Path(__file__).parents[1] / "configs"


def read(name):
    """The `GRID` of a config file, given by its path or by its name in the folder `configs`.

    Raises:
        ValueError: There is no such file, or it does not declare a grid.
    """
    path = pathlib.Path(name)
    if not path.is_file():
        path = CONFIGS / f"{path.name.removesuffix('.py')}.py"
    if not path.is_file():
        names = sorted(p.stem for p in CONFIGS.glob("[a-z]*.py"))
        near = difflib.get_close_matches(name, names, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(names)}"
        raise ValueError(f"CONFIG must be a file, or one of examples/configs, not {name!r}{hint}")
    try:
        grid = runpy.run_path(str(path)).get("GRID")
    except Exception as error:  # Whatever is wrong with the file.
        raise ValueError(f"{path} is broken: {type(error).__name__}: {error}") from error
    if not isinstance(grid, Grid):
        raise ValueError(f"{path} must set GRID to a Grid. Received: GRID={grid!r}")
    return grid


class Plan:
    """The runs of a grid, each with a folder in `output`."""

    def __init__(self, grid, output, strategy="none", only=""):
        self.grid = grid
        self.output = output
        self.extra = {} if strategy == "none" else {"strategy": strategy}
        self.runs = [run for run in grid.runs if only in run.name]
        if not self.runs:
            raise ValueError(f"--only must be part of a run's name, as {grid.runs[0].name!r}")
        for run in self.runs:
            self._check(run)

    def config(self, run):
        return {**run.config, **self.extra}

    def folder(self, run):
        return self.output / run.name

    def result(self, run):
        """The result of a finished run, or None; says which file is damaged."""
        try:
            return folders.finished(self.folder(run), self.config(run))
        except files.Damaged as error:
            files.say(str(error))
            return None

    def left(self):
        """The runs to be done, as far as is known by now."""
        return [run for run in choosing.wanted(self) if self.result(run) is None]

    def epochs_left(self):
        return sum(run.recipe.epochs for run in self.left())

    def refused(self):
        """The rules that keras_zsharp has not, or not with these arguments, as messages."""
        refused = {}
        for run in self.runs:
            try:
                parts.perturbation(run.config)
            except ValueError as error:
                refused.setdefault(str(error), run.method.label)
        return [f"{label}: {error}" for error, label in refused.items()]

    def seconds(self, left):
        """How long runs will take, by the finished ones like them, and how many have none."""
        known = defaultdict(list)
        for run in self.runs:
            if result := self.result(run):
                known[self._cost(run)].append(
                    result.get("duration", result["seconds"]) / result["epochs"]
                )
        times = [
            run.recipe.epochs * statistics.mean(known[self._cost(run)])
            for run in left
            if known[self._cost(run)]
        ]
        return sum(times), len(left) - len(times)

    def _cost(self, run):
        """Runs of which this is equal take equally long by epoch."""
        passes = 1 + (run.method.rule is not None)
        batches = run.method.ascent, run.recipe.batch_size
        return run.setting.dataset, run.setting.network, passes, *batches

    def _check(self, run):
        try:
            found = folders.noted(self.folder(run))
        except files.Damaged as error:
            files.say(str(error))
            return
        if found is not None:
            del found["versions"]
            if found != json.loads(json.dumps(self.config(run))):
                path = self.folder(run) / "config.json"
                raise ValueError(f"--output has a run with other settings: see {path}")

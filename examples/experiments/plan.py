"""What there is to do: a grid read from a config, and the state of its runs in a folder."""

import datetime
import difflib
import pathlib
import runpy

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
    """The runs of a grid, each with a folder in `output`.

    Raises:
        ValueError: No run has a name with `only` in it, or the folder of one has another run.
    """

    def __init__(self, grid, output, strategy="none", only=""):
        self.grid = grid
        self.output = output
        self.extra = {} if strategy == "none" else {"strategy": strategy}
        self.runs = [run for run in grid.runs if only in run.name]
        if not self.runs:
            raise ValueError(f"--only must be part of a run's name, as {grid.runs[0].name!r}")
        for run in self.runs:
            self.result(run)

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
        return choosing.left(self)

    def of_other_versions(self):
        """The finished runs that were not done by this source with these libraries."""
        own = folders.versions().items()
        finished = choosing.results(self)
        others = {name for name, f in finished.items() if not own <= f["versions"].items()}
        return [run for run in self.runs if run.name in others]

    def refused(self):
        """The rules that keras_zsharp has not, or not with these arguments, as messages."""
        refused = {}
        for run in self.runs:
            try:
                parts.perturbation(run.config)
            except ValueError as error:
                refused.setdefault(str(error), run.method.label)
        return [f"{label}: {error}" for error, label in refused.items()]

    def describe(self):
        """What is done and what is left, in words."""
        left = self.left()
        results = list(choosing.results(self).values())
        epochs = sum(run.recipe.epochs for run in left)
        cost = "unknown" if left and not results else _duration(results, epochs)
        state = (
            f"{self.grid.title}: {len(self.runs)} runs, {len(results)} finished, {len(left)} left "
            f"of {epochs:,} epochs; expected time: {cost}."
        )
        return "\n".join([state, *(f"Cannot be run: {refused}" for refused in self.refused())])


def _duration(results, epochs):
    """How long so many epochs take, by those of finished runs."""
    had = sum(found["epochs"] for found in results)
    seconds = epochs and epochs * sum(f.get("duration", f["seconds"]) for f in results) / had
    return f"about {datetime.timedelta(seconds=round(seconds))}, one run at a time"

"""What there is to do: a grid read from a config, and the state of its runs in a folder."""

import datetime
import difflib
import pathlib
import runpy

from experiments import building, folders, provenance, results, tables
from experiments.grid import Grid

CONFIGS = pathlib.Path(__file__).parents[1] / "configs"


def read(name):
    """The `GRID` of a config file, given by its path or by its name in the folder `configs`."""
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
    """The runs of a grid whose name has `only` in it, each with a folder in `output`.

    Attributes:
        finished: What the finished ones say, by name: a `folders.Finished`.
    """

    def __init__(self, grid, output, strategy="none", only=""):
        self.grid, self.output = grid, output
        self.extra = {} if strategy == "none" else {"strategy": strategy}
        self.runs = [run for run in grid.runs if only in run.name]
        if not self.runs:
            raise ValueError(f"--only must be part of a run's name, as {grid.runs[0].name!r}")
        self.finished = {}
        for run in self.runs:
            self.look(run)

    def config(self, run):
        return {**run.config, **self.extra}

    def settings(self, run):
        return tables.text(self.config(run))

    def folder(self, run):
        return self.output / run.name

    def look(self, run):
        """Reads the folder of a run."""
        if found := folders.look(self.folder(run), self.config(run)):
            self.finished[run.name] = found

    def left(self):
        """The runs to be done, as far as is known by now."""
        done, _ = self.tables()
        left = results.left(results.frame(self.grid, self.runs, done))
        return [run for run in self.runs if run.name in left]

    def tables(self):
        """What `results.csv` and `epochs.csv` have of its finished runs."""
        names = [run.name for run in self.runs if run.name in self.finished]
        return tables.of_runs({name: self.finished[name] for name in names})

    def of_other_versions(self):
        """The names of the finished runs that this source has not done with these libraries."""
        own = provenance.versions().items()
        return [n for n, run in self.finished.items() if not own <= run.result["versions"].items()]

    def refused(self):
        """The rules that keras_zsharp has not, or not with these arguments, as messages."""
        refused = {}
        for run in self.runs:
            try:
                building.rule(run.config)
            except ValueError as error:
                refused.setdefault(str(error), run.method.label)
        return [f"{label}: {error}" for error, label in refused.items()]

    def describe(self):
        """What is done and what is left, in words."""
        left, done = self.left(), [run.result for run in self.finished.values()]
        epochs = sum(run.recipe.epochs for run in left)
        cost = "unknown" if left and not done else _duration(done, epochs)
        state = (
            f"{self.grid.title}: {len(self.runs)} runs, {len(done)} finished, {len(left)} left "
            f"of {epochs:,} epochs; expected time: {cost}."
        )
        return "\n".join([state, *(f"Cannot be run: {refused}" for refused in self.refused())])

    def reuse(self, outputs, other_versions=False):
        """Takes over what the outputs of other plans have of its runs that are left: how many.

        `other_versions` says whether runs of other versions count, too. What is taken over has no
        `model.keras`.
        """
        own, found, restored = provenance.versions().items(), {}, 0
        for output in outputs:
            for its in tables.finished(output):
                if other_versions or own <= its.result["versions"].items():
                    found[tables.text(its.settings)] = its
        # Which runs are wanted may depend on those that have been restored.
        while now := [run for run in self.left() if self.settings(run) in found]:
            for run in now:
                folders.restore(self.folder(run), found[self.settings(run)])
                self.look(run)
            restored += len(now)
        return restored


def _duration(results, epochs):
    """How long so many epochs take, by those of finished runs."""
    had = sum(found["epochs"] for found in results)
    seconds = epochs and epochs * sum(f.get("duration", f["seconds"]) for f in results) / had
    return f"about {datetime.timedelta(seconds=round(seconds))}, one run at a time"

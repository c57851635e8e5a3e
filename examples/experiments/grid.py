"""The vocabulary of the files in `configs`: what an experiment consists of."""

import collections
import dataclasses
import functools
import itertools
import re
from collections.abc import Mapping

from experiments import numbers
from experiments.recipe import Recipe
from keras_zsharp import data, models

nothing = functools.partial(dataclasses.field, default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Method:
    """A row of a table.

    Attributes:
        rule: Name of a class of `keras_zsharp`; None for the optimizer alone.
        settings: The rule's arguments.
        choose: Arguments with several values each: all are run, and the table has those with the
            best mean accuracy on the validation data.
        recipe: What differs from the grid's recipe.
        line: Name of the line in plots over the grid's axis that the row is a point of.
        step: Arguments of `keras_zsharp.training.StepOptions`.
        ascent: `component` of `keras_zsharp.analysis.AscentFrom`, along which the rule perturbs;
            None for the batch's gradient.
    """

    label: str
    rule: str | None = None
    settings: Mapping = nothing()
    choose: Mapping = nothing()
    recipe: Mapping = nothing()
    line: str | None = None
    step: Mapping = nothing()
    ascent: str | None = None

    @property
    def choices(self):
        """Every combination of the values to choose from, as dicts."""
        every = itertools.product(*self.choose.values())
        return [dict(zip(self.choose, values, strict=True)) for values in every]


@dataclasses.dataclass(frozen=True)
class Setting:
    """A column of a table: a network of `keras_zsharp.models` on a dataset.

    Attributes:
        recipe: What differs from the grid's recipe.
        rules: Arguments that rules have in this setting, by the label of the method.
    """

    label: str
    dataset: str
    network: str
    recipe: Mapping = nothing()
    rules: Mapping = nothing()


@dataclasses.dataclass(frozen=True)
class Run:
    """One training: a method in a setting, with one choice of its arguments and one seed."""

    setting: Setting
    method: Method
    choice: Mapping
    seed: int
    recipe: Recipe

    @property
    def name(self):
        """The name of its folder."""
        choice = ",".join(f"{name}={value}" for name, value in self.choice.items())
        labels = filter(None, (self.setting.label, self.method.label, choice))
        return slug("-".join(labels)) + f"-seed{self.seed}"

    @property
    def rule_settings(self):
        its = self.setting.rules.get(self.method.label, {})
        return {**self.method.settings, **its, **self.choice}

    @property
    def config(self):
        """All that says what it computes. Runs are the same where it is the same."""
        return {
            "dataset": self.setting.dataset,
            "model": self.setting.network,
            "rule": self.method.rule,
            "settings": self.rule_settings,
            "seed": self.seed,
            **self.recipe.settings,
            **({"step": dict(self.method.step)} if self.method.step else {}),
            **({"ascent": self.method.ascent} if self.method.ascent else {}),
        }


@dataclasses.dataclass(frozen=True)
class Grid:
    """Every method in every setting with every seed.

    Attributes:
        title: What it reproduces.
        recipe: How the runs train.
        settings: Columns.
        methods: Rows.
        reference: Label of the method that the others are compared with.
        seeds: Of the runs.
        paper: The paper's (mean, standard deviation) in %, by the labels of (setting, method).
        axis: Name of a field of the recipe, or of a rule's argument, to plot the accuracy over.
        timed: Whether the report has the seconds of a run, and plots the accuracy over them.
        choosing_seeds: Those of the seeds that all values to choose from are run with; the others
            are run with the chosen ones alone. None: all.
        comparisons: More pairs of methods, by label, whose difference the report has.
    """

    title: str
    recipe: Recipe
    settings: tuple
    methods: tuple
    reference: str
    seeds: tuple = (0, 1, 2)
    paper: Mapping = nothing()
    axis: str | None = None
    timed: bool = False
    choosing_seeds: tuple | None = None
    comparisons: tuple = ()

    def __post_init__(self):
        methods = _labels("methods", self.methods)
        settings = _labels("settings", self.settings)
        for seed in self.seeds:
            numbers.check({"seed": seed})
        for name, values, known in (
            ("choosing_seeds", self.choosing_seeds or (), self.seeds),
            ("reference", [self.reference], methods),
            ("comparisons", itertools.chain(*self.comparisons), methods),
            ("dataset", [setting.dataset for setting in self.settings], data.NAMES),
            ("network", [setting.network for setting in self.settings], models.__all__),
            ("paper", self.paper, list(itertools.product(settings, methods))),
        ):
            for value in values:
                if value not in known:
                    known = ", ".join(map(str, known))
                    raise ValueError(f"`{name}` must be one of {known}. Received: {value!r}")
        self._check_runs()

    def _check_runs(self):
        [(name, times)] = collections.Counter(run.name for run in self.runs).most_common(1)
        if times > 1:
            raise ValueError(
                "Labels and choices must make different names of folders, in which case and "
                f"punctuation do not count. Received: labels that make {name!r} twice"
            )
        for run in self.runs:
            if run.choice and not run.recipe.validation:
                raise ValueError(f"`choose` needs a `validation` part. Received: {run.method}")

    @property
    def runs(self):
        """All runs, seed by seed, so that an unfinished grid has comparable ones."""
        return [
            Run(setting, method, choice, seed, self._recipe(setting, method))
            for seed in self.seeds
            for setting, method in itertools.product(self.settings, self.methods)
            for choice in method.choices
        ]

    def _recipe(self, setting, method):
        return dataclasses.replace(self.recipe, **setting.recipe, **method.recipe)


def slug(text):
    """A name for a file."""
    return re.sub(r"[^a-z0-9.=]+", "-", text.lower()).strip("-")


def _labels(name, objects):
    labels = [made.label for made in objects]
    if len(set(labels)) < len(labels) or not labels:
        raise ValueError(f"`{name}` must have different labels. Received: {labels}")
    return labels

"""The vocabulary of the files in `configs`: what an experiment consists of."""

import collections
import dataclasses
import itertools
import re
import typing
from collections.abc import Mapping

from experiments import numbers
from keras_zsharp import data, models


def nothing():
    return dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a run trains, whatever perturbs it.

    Attributes:
        optimizer: "adamw"; or, with a weight decay that is part of the gradient, "adam", or "sgd"
            with momentum 0.9.
        schedule: "steps": the learning rate times 0.75 every 10 epochs; "warmup_steps": a rise from
            0 in the first 5 epochs, and times 0.75 every 30 epochs; "cosine": down to 0.
        validation: Share of the training data to hold out, with label noise like the rest; what
            `Method.choose` needs.
        clean_validation: Whether the labels that are held out are those of the dataset, and not as
            noisy as the rest.
        split_seed: Of the digits alone: the seed of their division into training and test, for
            runs with different seeds to have the same test part.

    The others are arguments of `keras_zsharp.data.load`, `fit` and the optimizer.
    """

    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    weight_decay: float
    schedule: str
    augment: str | None = "standard"
    label_noise: float = 0.0
    validation: float | None = None
    split_seed: int | None = None
    clean_validation: bool = False
    train_size: int | None = None
    noise_draw: str = "others"

    ADDED: typing.ClassVar = ("clean_validation", "train_size", "noise_draw")

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in numbers.CHECKS and not value is field.default is None:
                numbers.CHECKS[field.name](field.name, value)


@dataclasses.dataclass(frozen=True)
class Method:
    """A row of a table.

    Attributes:
        label: Its name there.
        rule: Name of a class of `keras_zsharp`; None for the optimizer alone.
        settings: The rule's arguments.
        choose: Arguments with several values each: all are run, and the table has those with the
            best mean accuracy on the validation data.
        recipe: What differs from the grid's recipe.
        line: Name of the line in plots over the grid's axis that the row is a point of.
        step: How the step is taken: arguments of `keras_zsharp.training.StepOptions`.
        ascent: `component` of `keras_zsharp.analysis.AscentFrom`, along which the rule perturbs, of
            all training data; None for the batch's gradient.
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
        return [
            dict(zip(self.choose, values, strict=True))
            for values in itertools.product(*self.choose.values())
        ]


@dataclasses.dataclass(frozen=True)
class Setting:
    """A column of a table: a network on a dataset.

    Attributes:
        label: Its name.
        dataset: As in `keras_zsharp.data.load`.
        network: Name of a builder in `keras_zsharp.models`.
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
        parts = [self.setting.label, self.method.label, *([choice] if choice else [])]
        return slug("-".join(parts)) + f"-seed{self.seed}"

    @property
    def choice_key(self):
        """The choice, for runs to be told apart by it."""
        return tuple(self.choice.items())

    @property
    def rule_settings(self):
        of_setting = self.setting.rules.get(self.method.label, {})
        return {**self.method.settings, **of_setting, **self.choice}

    @property
    def config(self):
        """All that says what it computes, as `runs` takes it."""
        recipe = dataclasses.asdict(self.recipe)
        for name in Recipe.ADDED:
            if recipe[name] == getattr(Recipe, name):
                del recipe[name]  # As in the files of before there was a choice.
        return {
            "dataset": self.setting.dataset,
            "model": self.setting.network,
            "rule": self.method.rule,
            "settings": self.rule_settings,
            "seed": self.seed,
            **recipe,
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
        reference: Label of the method that the others are tested against.
        seeds: Of the runs.
        paper: The paper's (mean, standard deviation) in %, by the labels of (setting, method).
        axis: Name of a field of the recipe, or of a rule's argument, to plot the accuracy over.
        timed: Whether the report has the seconds of a run, and plots the accuracy over them.
        choosing_seeds: Those of the seeds that all values to choose from are run with; the others
            are run with the chosen ones alone. None: all.
        comparisons: Pairs of labels of methods: the report has their differences, too.
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
        for name, objects in (("settings", self.settings), ("methods", self.methods)):
            labels = [o.label for o in objects]
            if len(set(labels)) < len(labels) or not labels:
                raise ValueError(f"`{name}` must have different labels. Received: {labels}")
        names = collections.Counter(run.name for run in self.runs)
        twice = [name for name, times in names.items() if times > 1]
        if twice:
            raise ValueError(
                "Labels and choices must make different names of folders, in which case and "
                f"punctuation do not count. Received: labels that make {twice[0]!r} twice"
            )
        for run in self.runs:
            if run.choice and not run.recipe.validation:
                raise ValueError(f"`choose` needs a `validation` part. Received: {run.method}")
        self._check_references()

    def _check_references(self):
        """That what is named is there."""
        for seed in self.seeds:
            numbers.CHECKS["seed"]("seed", seed)
        for seed in self.choosing_seeds or ():
            _one_of("choosing_seeds", seed, self.seeds)
        _one_of("reference", self.reference, [m.label for m in self.methods])
        for label in itertools.chain(*self.comparisons):
            _one_of("comparisons", label, [m.label for m in self.methods])
        for setting in self.settings:
            _one_of("dataset", setting.dataset, data.NAMES)
            _one_of("network", setting.network, models.__all__)
        keys = [(s.label, m.label) for s in self.settings for m in self.methods]
        for key in self.paper:
            _one_of("paper", key, keys)

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


def grouped(items, key):
    """Lists of the items that have the same key, in order, by that key."""
    groups = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def slug(text):
    """A name for a file."""
    return re.sub(r"[^a-z0-9.=]+", "-", text.lower()).strip("-")


def _one_of(name, value, values):
    if value not in values:
        raise ValueError(
            f"`{name}` must be one of {', '.join(map(str, values))}. Received: {value!r}"
        )

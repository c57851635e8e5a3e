"""The runs of a comparison."""

from __future__ import annotations

import collections
import dataclasses
import inspect
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_zsharp import checks
from keras_zsharp.comparing.method import Method, as_text
from keras_zsharp.comparing.run import Run
from keras_zsharp.typing import Path


def _seeds(seeds):
    if not isinstance(seeds, Sequence | np.ndarray) or not np.shape(seeds):
        raise TypeError(f"`seeds` must be a list of ints. Received: seeds={seeds!r}")
    seeds = [checks.count("seeds", seed) for seed in seeds]
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"`seeds` must be different ints >= 0. Received: {seeds}")
    return seeds


class Plan:
    """The runs of a comparison, checked before the first one begins."""

    train: Any

    def __init__(
        self,
        train: Any,
        methods: Any,
        seeds: Iterable[int],
        metric: str,
        choose_by: str | None,
        folder: Path | None,
    ) -> None:
        if not callable(train):
            raise TypeError(f"`train` must be a function. Received: train={train!r}")
        if not isinstance(methods, Mapping) or not methods:
            raise TypeError(f"`methods` must be a dict of methods. Received: {methods!r}")
        made = {k: m if isinstance(m, Method) else Method(m) for k, m in methods.items()}
        self.methods, self.labels = made, list(made)
        if choose_by is not None:
            checks.word("choose_by", choose_by)
        self.seeds = _seeds(seeds)
        several = [label for label, method in made.items() if len(method.choices) > 1]
        if several and (choose_by is None or choose_by == metric):
            raise ValueError(
                "`choose_by` must be a metric of held-out data, other than `metric`, where methods "
                f"have values to choose from: {', '.join(several)}. Received: {choose_by!r}"
            )
        self.train, self.needs = train, tuple(filter(None, (metric, choose_by)))
        self.folder = None if folder is None else pathlib.Path(checks.path("folder", folder))
        self._check_options()
        runs = self.runs(self.seeds)
        names = collections.Counter(run.name for run in runs)
        if twice := [name for name, times in names.items() if times > 1]:
            raise ValueError(
                "`methods` must have labels and values that differ in letters and digits. "
                f"Received two with the name {twice[0]}"
            )
        for run in runs:
            run.finished()  # It refuses a folder of another comparison.

    def _check_options(self):
        """Refuses what `train` does not take, before anything is trained."""
        try:
            parameters = inspect.signature(self.train).parameters.values()
        except ValueError as error:
            raise TypeError(f"`train` must be a function of Python's. {error}") from error
        if any(each.kind is each.VAR_KEYWORD for each in parameters):
            return
        taken = {each.name for each in parameters}
        for label, method in self.methods.items():
            if unknown := sorted(method.options_with(method.choices[0]).keys() - taken):
                raise TypeError(
                    f"`train` must take the options of {label!r} that are none of its rule: "
                    f"{', '.join(unknown)}. It takes {', '.join(sorted(taken))}"
                )

    def runs(self, seeds: Iterable[int]) -> list[Run]:
        """The runs with some seeds and all values to choose from."""
        return [
            self._run(label, method, choice, seed)
            for seed in seeds
            for label, method in self.methods.items()
            for choice in method.choices
        ]

    def _run(self, label, method, choice, seed):
        run = Run(self.train, label, method, choice, seed, None, self.needs)
        folder = None if self.folder is None else self.folder / run.name
        return dataclasses.replace(run, folder=folder)

    def size(self, first: bool) -> int:
        """The number of runs, where the first seed alone chooses or all do."""
        choices = sum(len(method.choices) for method in self.methods.values())
        if not first:
            return choices * len(self.seeds)
        return choices + len(self.methods) * (len(self.seeds) - 1)

    def stages(self, first: bool, best: Callable[[], Mapping[str, str]]) -> Iterator[list[Run]]:
        """The runs that need no result of earlier ones, then those with the chosen values.

        Args:
            first: Whether the first seed alone chooses.
            best: The chosen values by label, after the first runs are done.
        """
        if not first:
            yield self.runs(self.seeds)
            return
        yield self.runs(self.seeds[:1])
        if self.seeds[1:]:
            chosen = best()
            yield [
                run for run in self.runs(self.seeds[1:]) if as_text(run.choice) == chosen[run.label]
            ]

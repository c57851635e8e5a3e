"""Trains with every method and every seed."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from keras_zsharp import checks
from keras_zsharp.comparing import comparison, engines
from keras_zsharp.comparing.comparison import Comparison
from keras_zsharp.comparing.engines import Outcome
from keras_zsharp.comparing.method import Method
from keras_zsharp.comparing.plan import Plan
from keras_zsharp.comparing.run import WrongReturn
from keras_zsharp.rules import Rule
from keras_zsharp.typing import Path

HIGHER, LOWER = ("acc", "accuracy", "auc"), ("loss", "mse", "mae", "rmse", "error", "nll")
"""How the names of metrics end that are to be raised, or to be lowered."""


def compare(
    train: Callable[..., Mapping[str, Any]],
    methods: Mapping[str, Method | Rule | type[Rule] | str | None],
    seeds: Iterable[int] = (0, 1, 2),
    *,
    metric: str,
    mode: Literal["auto", "min", "max"] = "auto",
    choose_by: str | None = None,
    choosing_seeds: Literal["all", "first"] = "all",
    reference: str | None = None,
    folder: Path | None = None,
    processes: int = 0,
    ray: str | None = None,
    num_cpus: float = 1,
    num_gpus: float | None = None,
    progress: bool = True,
) -> Comparison:
    """Compares methods on a problem of your own: does it help, with which rule and which radius?

    Trains with every method and every seed. Where a method has values to choose from, the ones with
    the best mean of `choose_by` count, which is a metric of held-out data. The test data have no
    part in it.

    A run that fails is named in a warning and in `failed` of the result. The others go on.

    Args:
        train: A function `train(rule, seed, **options)` that trains with a rule, or with None
            without, and returns a dict of numbers by the names of metrics. It may return `seconds`,
            `passes`, and a `history`: lists by name, with a number for each epoch, or what `fit`
            returns. If it has an argument `folder`, that is a folder for the `Backup` of the run,
            or None. `keras_zsharp.comparing.Fit` makes one of a model and data.
        methods: By label: a `Method`, or only its rule.
        seeds: Those of the runs. Keras' seeds are set to it before `train` is called.
        metric: Name of the metric to compare.
        mode: Whether the metric is better if it is lower (`"min"`) or higher (`"max"`). `"auto"`
            goes by the end of its name, as in accuracy, loss and MSE.
        choose_by: Name of the metric to choose values by. It has the same `mode`.
        choosing_seeds: Whether all values are run with all seeds, or with the first alone. The
            other seeds are then run with the chosen values.
        reference: Label of the method that others are compared with. None is the first one.
        folder: Where every finished run is kept at once: the same call again does not repeat it,
            and a run that was killed goes on from its backup. If `train` itself changes, give
            another folder. None keeps nothing.
        processes: The number of runs at a time, each in a process of its own. 0 does them one after
            the other in this process.
        ray: Address of a Ray cluster, or `"local"` for this machine. A run whose process is killed
            is done again, up to 3 times. The nodes must see `folder`, and what `train` imports.
        num_cpus: Cores of a run, for Ray.
        num_gpus: GPUs of a run, for Ray, may be a fraction. None is one where there is any.
        progress: Whether to show a bar with the time that is left.

    Returns:
        A `Comparison`: its `table()`, `plot()` and `save(folder)`.

    Raises:
        ImportError: pandas, SciPy or Ray is missing.
        TypeError, ValueError: An argument is of the wrong type, or outside of its range; `train`
            returns something else.
        RuntimeError: All runs of this call have failed.

    Example:

    >>> import keras
    >>> import keras_zsharp
    >>> import numpy as np
    >>> def train(rule, seed):
    ...     x, y = np.eye(4), np.eye(4)
    ...     model = keras.Sequential([keras.layers.Dense(4)])
    ...     if rule is not None:
    ...         model = keras_zsharp.SharpnessAwareModel(model, rule)
    ...     model.compile("adam", "mse")
    ...     return {"test_mse": model.fit(x, y, verbose=0).history["loss"][-1]}
    >>> result = compare(train, {"Adam": None, "SAM": "sam"}, metric="test_mse", progress=False)
    >>> list(result.table().index)
    ['Adam', 'SAM']
    """
    comparison.need_pandas()
    better = mode_of(metric, mode)
    plan = Plan(train, methods, seeds, metric, choose_by, folder)
    reference = plan.labels[0] if reference is None else reference
    checks.one_of("reference", reference, *plan.labels)
    first = checks.one_of("choosing_seeds", choosing_seeds, "all", "first") == "first"
    engine = _engine(processes, ray, num_cpus, num_gpus)
    outcomes: list[Outcome] = []

    def so_far():
        return Comparison.of(outcomes, metric, better, choose_by, reference)

    with _bar(plan.size(first), checks.flag("progress", progress)) as advance:
        for runs in plan.stages(first, lambda: so_far().choices):
            for outcome in _done(engine, runs):
                if isinstance(outcome[2], WrongReturn):
                    raise outcome[2]
                outcomes.append(outcome)
                advance()
    failed = {run.name: why for run, _, why in outcomes if why}
    for name, why in failed.items():
        warnings.warn(f"The run {name} has failed: {why}", stacklevel=2)
    if len(failed) == len(outcomes):
        raise RuntimeError(f"All runs have failed. The first: {next(iter(failed.values()))}")
    return so_far()


def mode_of(metric: str, mode: str) -> str:
    """Whether a metric is better if it is lower or higher: `"min"` or `"max"`."""
    checks.word("metric", metric)
    if checks.one_of("mode", mode, "auto", "min", "max") != "auto":
        return mode
    for ends, found in ((HIGHER, "max"), (LOWER, "min")):
        if metric.lower().endswith(ends):
            return found
    raise ValueError(
        f'`mode` must be "min" or "max" for a metric whose name does not tell. Received: {metric!r}'
    )


def _engine(processes, ray, num_cpus, num_gpus):
    processes = checks.count("processes", processes)
    num_cpus = checks.number("num_cpus", num_cpus, "> 0", lambda value: value > 0)
    if num_gpus is not None:
        num_gpus = checks.number("num_gpus", num_gpus, ">= 0", lambda value: value >= 0)
    if ray is None:
        return engines.processes(processes) if processes else engines.here
    checks.word("ray", ray)
    if processes:
        raise ValueError(f"`processes` must be 0 with `ray`. Received: processes={processes}")
    return engines.on_ray(ray, num_cpus, num_gpus)


def _done(engine: engines.Engine, runs: Sequence[Any]) -> Iterator[Outcome]:
    """The outcomes of runs, at first of those that are finished already."""
    left = []
    for run in runs:
        if (found := run.finished()) is not None:
            yield run, found, ""
        else:
            left.append(run)
    if left:
        yield from engine(left)


@contextlib.contextmanager
def _bar(total, shown):
    """A bar with the time that is left. It yields what moves it by a run."""
    from rich import progress

    columns = progress.MofNCompleteColumn(), progress.TimeElapsedColumn()
    left = progress.TextColumn("left:"), progress.TimeRemainingColumn(elapsed_when_finished=False)
    bar = progress.Progress(
        progress.TextColumn("runs"), progress.BarColumn(), *columns, *left, disable=not shown
    )
    with bar:
        task = bar.add_task("runs", total=total)
        yield lambda: bar.advance(task)

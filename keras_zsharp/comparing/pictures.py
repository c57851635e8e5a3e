"""The pictures of a comparison."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def differences(its: Any) -> Figure:
    """The differences from the reference with their intervals, and a point for each seed."""
    labels = [label for label in its.labels if label != its.reference]
    if not labels:
        raise ValueError("`differences` must have a method besides the reference. Received: none")
    figure, axes = _axes(its, height=1.2 + 0.4 * len(labels))
    reference = its.series(its.reference)
    for row, label in enumerate(reversed(labels)):
        points = (its.series(label) - reference).dropna()
        found = its.difference(label)
        axes.plot(points, [row] * len(points), "o", color="0.7", markersize=4)
        axes.plot([found.low, found.high], [row, row], color=_color(its, label), linewidth=2)
        axes.plot([found.mean], [row], "D", color=_color(its, label))
    axes.axvline(0, color="0.5", linewidth=1)
    axes.set_yticks(range(len(labels)), reversed(labels))
    better = "lower" if its.mode == "min" else "higher"
    axes.set_xlabel(f"{its.metric} minus that of {its.reference} ({better} is better)")
    return figure


def choices(its: Any) -> Figure:
    """The metric over the values to choose from, of each method with one number to choose."""
    figure, axes = _axes(its)
    names, ticks = set(), set()
    for label, runs in its.runs[its.runs["failed"] == ""].groupby("method", sort=False):
        values = runs["choice"].map(json.loads)
        if not (values.map(len) == 1).all() or runs["choice"].nunique() < 2:
            continue
        x = values.map(lambda choice: next(iter(choice.values())))
        if not x.map(lambda value: isinstance(value, int | float)).all():
            continue
        names |= set(values.iloc[0])
        ticks |= set(x)
        found = runs.groupby(x)[its.metric].agg(["mean", "std"])
        _errorbar(axes, found.index, found, label, _style(its, label))
        [best] = json.loads(its.choices[label]).values()
        axes.plot([best], [found["mean"][best]], "o", ms=11, mfc="none", color=_color(its, label))
    if not names:
        raise ValueError("`choices` must have a method with numbers to choose from. Received: none")
    axes.set(xlabel=" or ".join(sorted(names)), ylabel=its.metric)
    axes.set_xscale("log" if 0 < 8 * min(ticks) < max(ticks) else "linear")
    axes.set_xticks(sorted(ticks), [f"{tick:g}" for tick in sorted(ticks)])
    axes.minorticks_off()
    return _with_labels(figure, axes)


def epochs(its: Any) -> Figure:
    """The metric over the epochs: mean and range over seeds, of the chosen runs.

    It shows what comes after the first quarter whole: the climb from chance is the same for all.
    """
    if its.metric not in its.epochs:
        raise ValueError(
            f"`epochs` must have the metric {its.metric!r} in the history of runs. "
            f"Received: {sorted(its.epochs)}"
        )
    figure, axes = _axes(its)
    ends = []
    for label in its.labels:
        curve = its.history(label).groupby("epoch")[its.metric].agg(["mean", "min", "max"])
        x, style = curve.index + 1, _style(its, label)
        axes.plot(x, curve["mean"], label=label, **style)
        shade = {"color": style["color"], "alpha": 0.12, "linewidth": 0}
        axes.fill_between(x, curve["min"], curve["max"], **shade)
        late = curve.iloc[len(curve) // 4 :]
        ends += [late["min"].min(), late["max"].max()]
    if ends := [end for end in ends if math.isfinite(end)]:
        margin = 0.05 * (max(ends) - min(ends)) or 0.05
        axes.set_ylim(min(ends) - margin, max(ends) + margin)
    axes.set(xlabel="epoch", ylabel=its.metric)
    return _with_labels(figure, axes)


def seconds(its: Any) -> Figure:
    """The metric over the seconds of a run, and a line along the best."""
    figure, axes = _axes(its)
    points = []
    for label in its.labels:
        found = its.series(label).agg(["mean", "std"])
        points.append((its.seconds(label), found["mean"]))
        marker = "osD^v"[its.labels.index(label) // 10 % 5]
        style = {"color": _color(its, label), "linestyle": "", "marker": marker}
        _errorbar(axes, [points[-1][0]], found.to_frame().T, label, style)
    points.sort()
    sign = -1 if its.mode == "min" else 1
    best = [p for i, p in enumerate(points) if all(sign * (p[1] - q[1]) > 0 for q in points[:i])]
    axes.plot(*zip(*best, strict=True), color="0.6", linewidth=1, zorder=0, label="frontier")
    axes.set(xlabel="seconds of a run", ylabel=its.metric)
    axes.set_xlim(left=0)
    return _with_labels(figure, axes)


KINDS: dict[str, Callable[[Any], Figure]] = {
    "differences": differences,
    "choices": choices,
    "epochs": epochs,
    "seconds": seconds,
}


def _errorbar(axes, x, found, label, style):
    style = {"marker": "o", "markersize": 4, "capsize": 3, "elinewidth": 1, **style}
    axes.errorbar(x, found["mean"], found["std"].fillna(0), label=label, **style)


def _color(its, label):
    return f"C{its.labels.index(label) % 10}"


def _style(its, label):
    """Of a line: there are more methods than colors."""
    dash = ("-", "--", "-.")[its.labels.index(label) // 10 % 3]
    return {"color": _color(its, label), "linestyle": dash}


def _axes(its, height=4.5):
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("`plot` needs matplotlib: pip install 'keras-zsharp[compare]'") from error
    figure = Figure(figsize=(8, height), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(alpha=0.3)
    return figure, axes


def _with_labels(figure, axes):
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    return figure

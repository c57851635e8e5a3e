"""The pictures of a comparison."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALONE = ("Optimizer alone", "SGD", "Adam", "AdamW")
COLORS = {
    **dict.fromkeys(ALONE, "#7f7f7f"),
    "SAM": "#1f77b4",
    "ZSharp": "#d62728",
    "ASAM": "#2ca02c",
    **dict.fromkeys(("FriendlySAM", "Friendly-SAM", "F-SAM"), "#9467bd"),
    **dict.fromkeys(("AdaptiveFriendlySAM", "F-ASAM"), "#c58ee0"),
    "LookSAM": "#ff7f0e",
    "MSAM": "#8c564b",
    "GSAM": "#e377c2",
    "SANER": "#bcbd22",
    "SAM-ON": "#17becf",
    "RandomSAM": "#c49c94",
    **dict.fromkeys(("FisherSAM", "Fisher SAM"), "#6ecf6e"),
}
"""Of methods by the first words of their labels, in every picture. Others have those of `REST`."""
REST = ("#aec7e8", "#ffbb78", "#dbdb8d", "#9edae5", "#f7b6d2", "#5254a3", "#8ca252", "#843c39")
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))


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
    names, ticks, ends = set(), set(), {}
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
        ends[label] = found["mean"].iloc[-1]
        [best] = json.loads(its.choices[label]).values()
        axes.plot([best], [found["mean"][best]], "o", ms=11, mfc="none", color=_color(its, label))
    if not names:
        raise ValueError("`choices` must have a method with numbers to choose from. Received: none")
    axes.set(xlabel=" or ".join(sorted(names)), ylabel=its.metric)
    axes.set_xscale("log" if 0 < 8 * min(ticks) < max(ticks) else "linear")
    axes.set_xticks(sorted(ticks), [f"{tick:g}" for tick in sorted(ticks)])
    axes.minorticks_off()
    return _named_at_their_ends(figure, axes, ends, its)


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
    late_values, ends = [], {}
    for label in its.labels:
        curve = its.history(label).groupby("epoch")[its.metric].agg(["mean", "min", "max"])
        x, style = curve.index + 1, _style(its, label)
        axes.plot(x, curve["mean"], label=label, **style)
        shade = {"color": style["color"], "alpha": 0.12, "linewidth": 0}
        axes.fill_between(x, curve["min"], curve["max"], **shade)
        late = curve.iloc[len(curve) // 4 :]
        late_values += [late["min"].min(), late["max"].max()]
        ends[label] = curve["mean"].iloc[-1]
    if shown := [value for value in late_values if math.isfinite(value)]:
        margin = 0.05 * (max(shown) - min(shown)) or 0.05
        axes.set_ylim(min(shown) - margin, max(shown) + margin)
    axes.set(xlabel="epoch", ylabel=its.metric)
    return _named_at_their_ends(figure, axes, ends, its)


def seconds(its: Any) -> Figure:
    """The metric over the seconds of a run, and a line along the best."""
    figure, axes = _axes(its)
    points = []
    for label in its.labels:
        found = its.series(label).agg(["mean", "std"])
        points.append((its.seconds(label), found["mean"]))
        marker = "osD^vP"[DASHES.index(_style(its, label)["linestyle"])]
        style = {"color": _color(its, label), "linestyle": "", "marker": marker}
        _errorbar(axes, [points[-1][0]], found.to_frame().T, label, style)
    points.sort()
    sign = -1 if its.mode == "min" else 1
    best = [p for i, p in enumerate(points) if all(sign * (p[1] - q[1]) > 0 for q in points[:i])]
    axes.plot(*zip(*best, strict=True), color="0.6", linewidth=1, zorder=0, label="frontier")
    axes.set(xlabel="seconds of a run", ylabel=its.metric)
    axes.set_xlim(left=0)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    return figure


KINDS: dict[str, Callable[[Any], Figure]] = {
    "differences": differences,
    "choices": choices,
    "epochs": epochs,
    "seconds": seconds,
}


def _errorbar(axes, x, found, label, style):
    style = {"marker": "o", "markersize": 4, "capsize": 3, "elinewidth": 1, **style}
    axes.errorbar(x, found["mean"], found["std"].fillna(0), label=label, **style)


def first_words(label):
    """Of the label of a method, which its variants share: `SAM` of `SAM, a quarter`."""
    return re.split(r",| of ", label)[0]


def _color(its, label):
    words = first_words(label)
    others = [each for each in map(first_words, its.labels) if each not in COLORS]
    return COLORS.get(words) or REST[list(dict.fromkeys(others)).index(words) % len(REST)]


def _style(its, label):
    """Of a line: variants of a method have its color."""
    variants = [each for each in its.labels if _color(its, each) == _color(its, label)]
    dash = DASHES[variants.index(label) % len(DASHES)]
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


def _named_at_their_ends(figure, axes, ends, its):
    """Writes the names of lines at their right ends, one above the other where these are close."""
    low, high = axes.get_ylim()
    gap = (high - low) / 20  # of a line of text
    places = {}
    ends = {label: y for label, y in ends.items() if math.isfinite(y)}
    for label, y in sorted(ends.items(), key=lambda end: end[1]):
        below = max(places.values(), default=low - gap)
        places[label] = max(min(y, high), below + gap)
    above = max(high, low + gap * (len(ends) - 1)) + gap
    for label in reversed(places):
        above = places[label] = min(places[label], above - gap)
        style = {"color": _color(its, label), "va": "center", "annotation_clip": False}
        axes.annotate(label, (1.01, above), xycoords=("axes fraction", "data"), **style)
    return figure

"""The pictures of a report, as PNG."""

import io
import math
import statistics

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from experiments import summary

SIZE = (8, 4.8)


def learning_curves(tables, rows):
    """Accuracy over the epochs, of the rows of a setting; None where no run is finished."""
    styles = _styles(len(rows))
    rows = {i: row for i, row in enumerate(rows) if row.chosen.results}
    if not rows:
        return None
    first = next(iter(rows.values())).chosen
    key = "test_accuracy" if first.runs[0].recipe.validation else "val_accuracy"
    figure, axes = _figure("epoch", f"{first.setting.label}: mean and range over seeds")
    floors = []
    for i, row in rows.items():
        points = list(zip(*summary.curves(tables, row.chosen, key), strict=False))
        points = [[100 * value for value in point] for point in points]
        epochs = range(1, len(points) + 1)
        axes.plot(epochs, [statistics.mean(p) for p in points], label=row.method.label, **styles[i])
        low, high = [min(p) for p in points], [max(p) for p in points]
        axes.fill_between(epochs, low, high, color=styles[i]["color"], alpha=0.12, linewidth=0)
        floors.append(min(low[len(low) // 4 :]))
    # What happens after the first quarter; the climb from chance is the same for all.
    axes.set_ylim(max(0, min(floors) - 3), min(100, axes.get_ylim()[1]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _png(figure)


def sensitivity(rows):
    """Test accuracy over the arguments that were chosen from, the choice marked; None without."""
    lines = {}
    for i, row in enumerate(rows):
        arms = [arm for arm in row.arms if arm.results]
        if len(arms) > 1 and len(row.method.choose) == 1:
            lines[i] = row, arms, next(iter(row.method.choose))
    if not lines:
        return None
    names = " or ".join(dict.fromkeys(name for *_, name in lines.values()))
    figure, axes = _figure(names, f"{rows[0].setting.label}: mean ± std over seeds")
    values = [arm.argument(name) for _, arms, name in lines.values() for arm in arms]
    aside, styles = _axis(axes, values, len(rows)), _styles(len(rows))
    for i, (row, arms, name) in lines.items():
        xs = [aside(arm.argument(name), i) for arm in arms]
        _errorbar(axes, xs, arms, row.method.label, styles[i])
        mean, _ = summary.mean_std(row.chosen.percent().values())
        x = aside(row.chosen.argument(name), i)
        axes.plot([x], [mean], "o", markersize=12, fillstyle="none", color=styles[i]["color"])
    axes.plot([], [], "ko", markersize=12, fillstyle="none", label="chosen by validation")
    # Lines that leave the picture are of training that breaks down, and would hide the others.
    best = max(
        summary.mean_std(arm.percent().values())[0] for _, arms, _ in lines.values() for arm in arms
    )
    axes.set_ylim(bottom=max(axes.get_ylim()[0], best - 15))
    return _png(figure)


def over_axis(rows, axis):
    """Test accuracy over the grid's axis, by line, of the rows of one network on one dataset."""
    lines = {}
    for row in rows:
        if row.chosen.results:
            lines.setdefault(row.method.line or row.method.label, []).append(row.chosen)
    if not lines:
        return None
    setting = rows[0].setting
    title = f"{setting.network} on {setting.dataset}: mean ± std over seeds"
    figure, axes = _figure(axis, title)
    values = {arm.argument(axis) for arms in lines.values() for arm in arms} - {None}
    aside = _axis(axes, values, len(lines)) if values else None
    styles = _styles(len(lines))
    for i, (label, arms) in enumerate(lines.items()):
        points = [arm for arm in arms if arm.argument(axis) is not None]
        if points:
            _errorbar(axes, [aside(a.argument(axis), i) for a in points], points, label, styles[i])
        else:
            mean, _ = summary.mean_std(arms[0].percent().values())
            axes.axhline(mean, label=label, color=styles[i]["color"], linestyle=":")
    return _png(figure)


def frontier(tables, rows):
    """Test accuracy over the seconds of a run, and a line along the best; None without runs."""
    rows = {i: row for i, row in enumerate(rows) if row.chosen.results}
    if not rows:
        return None
    figure, axes = _figure("seconds", f"{rows[min(rows)].setting.label}: mean ± std over seeds")
    styles, points = _styles(len(rows)), []
    for (i, row), style in zip(rows.items(), styles, strict=True):
        x = summary.seconds(tables, row.chosen)
        y, _ = summary.mean_std(row.chosen.percent().values())
        marker = {"color": style["color"], "linestyle": "none"}
        _errorbar(axes, [x], [row.chosen], row.method.label, marker | {"marker": "osD^v"[i // 10]})
        points.append((x, y))
    best = []
    for x, y in sorted(points):
        if not best or y > best[-1][1]:
            best.append((x, y))
    axes.plot(*zip(*best, strict=True), color="0.6", linewidth=1, zorder=0, label="frontier")
    axes.set_xlim(left=0)
    return _png(figure)


def _errorbar(axes, xs, arms, label, style):
    stats = [summary.mean_std(arm.percent().values()) for arm in arms]
    means, stds = [mean for mean, _ in stats], [std or 0 for _, std in stats]
    style = {"marker": ".", **style}
    axes.errorbar(xs, means, stds, label=label, capsize=3, elinewidth=1, **style)


def _styles(count):
    """A color and a dash for each of so many lines."""
    dashes = ("-", "--", "-.")
    return [{"color": f"C{i % 10}", "linestyle": dashes[i // 10 % 3]} for i in range(count)]


def _figure(x, title):
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=x, ylabel="test accuracy (%)", title=title)
    axes.grid(alpha=0.3)
    return figure, axes


def _axis(axes, values, count):
    """Ticks at the values; a function that moves x of line i aside, for bars not to hide bars.

    The axis is logarithmic where the values spread over more than a factor of 8.
    """
    values = sorted(set(values))
    log = len(values) > 1 and values[0] > 0 and values[-1] / values[0] > 8
    axes.set_xscale("log" if log else "linear")
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    width = math.log(values[-1] / values[0]) if log else values[-1] - values[0]

    def aside(x, i):
        shift = 0.04 * width * (i - (count - 1) / 2) / count
        return x * math.exp(shift) if log else x + shift

    return aside


def _png(figure):
    figure.axes[0].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()

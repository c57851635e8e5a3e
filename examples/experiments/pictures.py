"""The pictures of a report, as PNG."""

import io
import statistics

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from experiments import summary

SIZE = (8, 4.8)


def learning_curves(plan, rows):
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
        points = list(zip(*summary.curves(plan, row.chosen, key), strict=False))
        points = [[100 * value for value in point] for point in points]
        epochs = range(1, len(points) + 1)
        axes.plot(epochs, [statistics.mean(p) for p in points], label=row.method.label, **styles[i])
        low, high = [min(p) for p in points], [max(p) for p in points]
        axes.fill_between(epochs, low, high, color=styles[i]["color"], alpha=0.12, linewidth=0)
        floors.append(min(low[len(low) // 4 :]))
    # What happens after the first quarter; the climb from chance is the same for all.
    axes.set_ylim(max(0, min(floors) - 3), None)
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
    styles = _styles(len(rows), axes)
    for i, (row, arms, name) in lines.items():
        _errorbar(axes, [arm.argument(name) for arm in arms], arms, row.method.label, styles[i])
        mean, _ = summary.mean_std(row.chosen.percent().values())
        x = row.chosen.argument(name)
        axes.plot(
            [x], [mean], "o", markersize=12, fillstyle="none", **{**styles[i], "linestyle": ""}
        )
    _ticks(axes, sorted({arm.argument(name) for _, arms, name in lines.values() for arm in arms}))
    axes.plot([], [], "ko", markersize=12, fillstyle="none", label="chosen by validation")
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
    for (label, arms), style in zip(lines.items(), _styles(len(lines), axes), strict=True):
        points = [arm for arm in arms if arm.argument(axis) is not None]
        if points:
            _errorbar(axes, [arm.argument(axis) for arm in points], points, label, style)
        else:
            mean, _ = summary.mean_std(arms[0].percent().values())
            axes.axhline(mean, label=label, color=style["color"], linestyle=":")
    _ticks(axes, sorted({a.argument(axis) for s in lines.values() for a in s} - {None}))
    return _png(figure)


def _errorbar(axes, xs, arms, label, style):
    stats = [summary.mean_std(arm.percent().values()) for arm in arms]
    means, stds = [mean for mean, _ in stats], [std or 0 for _, std in stats]
    axes.errorbar(xs, means, stds, label=label, capsize=3, marker=".", elinewidth=1, **style)


def _styles(count, axes=None):
    """A color and a dash for each of so many lines; with `axes`, each a bit aside of the others."""
    dashes = ("-", "--", "-.")
    styles = [{"color": f"C{i % 10}", "linestyle": dashes[i // 10 % 3]} for i in range(count)]
    if axes is not None:
        for i, style in enumerate(styles):
            aside = ScaledTranslation((i - count / 2) / 24, 0, axes.figure.dpi_scale_trans)
            style["transform"] = axes.transData + aside
    return styles


def _figure(x, title):
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=x, ylabel="test accuracy (%)", title=title)
    axes.grid(alpha=0.3)
    return figure, axes


def _ticks(axes, values):
    """Ticks at the values; logarithmic where they spread over more than a factor of 8."""
    if values and min(values) > 0 and max(values) / min(values) > 8:
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{value:g}" for value in values])


def _png(figure):
    figure.axes[0].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()

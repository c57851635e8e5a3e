"""The pictures of a report, as PNG."""

import io

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from experiments import results
from experiments.results import chosen, mean_std, percent

SIZE = (8, 4.8)


def learning_curves(runs, epochs):
    """Accuracy over the epochs, of the methods of a setting; None where no run is finished."""
    done = chosen(runs)
    if done.empty:
        return None
    axes = _axes("epoch", f"{runs['setting'].iloc[0]}: mean and range over seeds")
    validated = done["validation_accuracy"].notna().all()
    key = "test_accuracy" if validated else "val_accuracy"
    floors = []
    for method, style in _styles(runs["method"]).items():
        its = epochs[epochs["run"].isin(done.index[done["method"] == method])]
        if its.empty:
            continue
        curve = 100 * its.groupby("epoch")[key].agg(["mean", "min", "max"])
        x = curve.index + 1
        axes.plot(x, curve["mean"], label=method, **style)
        axes.fill_between(x, curve["min"], curve["max"], color=style["color"], alpha=0.12, lw=0)
        floors.append(curve["min"][len(curve) // 4 :].min())
    # What happens after the first quarter; the climb from chance is the same for all.
    axes.set_ylim(max(0, min(floors) - 3), min(100, axes.get_ylim()[1]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _png(axes)


def sensitivity(runs):
    """Test accuracy over the arguments that were chosen from, the choice marked; None without."""
    done = runs[runs["finished"] & runs["value"].notna()]
    done = done.groupby("method", sort=False).filter(lambda its: its["choice"].nunique() > 1)
    if done.empty:
        return None
    names = done["choice"].str.partition("=")[0].unique()
    axes = _axes(" or ".join(names), f"{runs['setting'].iloc[0]}: mean ± std over seeds")
    styles, means = _styles(runs["method"]), []
    aside = _ticks(axes, done["value"], list(styles))
    for method, its in done.groupby("method", sort=False):
        means += _bars(axes, its.groupby("value"), method, styles[method], aside)
        for x, best in chosen(its).groupby("value"):
            circle = {"markersize": 12, "fillstyle": "none", "color": styles[method]["color"]}
            axes.plot([aside(x, method)], [mean_std(percent(best))[0]], "o", **circle)
    axes.plot([], [], "ko", markersize=12, fillstyle="none", label="chosen by validation")
    # Lines that leave the picture are of training that breaks down, and would hide the others.
    axes.set_ylim(bottom=max(axes.get_ylim()[0], max(means) - 15))
    return _png(axes)


def over_axis(runs, axis):
    """Test accuracy over the grid's axis, by line, of the methods of one network on one dataset."""
    done = chosen(runs)
    if done.empty:
        return None
    axes = _axes(axis, f"{runs['network'].iloc[0]}: mean ± std over seeds")
    styles = _styles(done["line"])
    aside = _ticks(axes, done["axis"].dropna(), list(styles))
    for line, its in done.groupby("line", sort=False):
        if its["axis"].notna().any():
            _bars(axes, its.groupby("axis"), line, styles[line], aside)
        else:
            mean, _ = mean_std(percent(its))
            axes.axhline(mean, label=line, color=styles[line]["color"], linestyle=":")
    return _png(axes)


def frontier(runs, epochs):
    """Test accuracy over the seconds of a run, and a line along the best; None without runs."""
    done = chosen(runs)
    if done.empty:
        return None
    axes = _axes("seconds", f"{runs['setting'].iloc[0]}: mean ± std over seeds")
    styles, points = _styles(runs["method"]), []
    for method, its in done.groupby("method", sort=False):
        x = results.seconds(epochs, its)
        marker = {"linestyle": "", "marker": "osD^v"[list(styles).index(method) // 10]}
        points += [(x, y) for y in _bars(axes, [(x, its)], method, styles[method] | marker)]
    points.sort()
    best = [(x, y) for i, (x, y) in enumerate(points) if all(y > its for _, its in points[:i])]
    axes.plot(*zip(*best, strict=True), color="0.6", linewidth=1, zorder=0, label="frontier")
    axes.set_xlim(left=0)
    return _png(axes)


def _bars(axes, groups, label, style, aside=lambda x, label: x):
    """Draws a line of mean accuracies, with error bars, of (x, runs); gives the means."""
    points = [(aside(x, label), *mean_std(percent(runs))) for x, runs in groups]
    xs, means, stds = zip(*points, strict=True)
    style = {"marker": ".", "capsize": 3, "elinewidth": 1, **style}
    axes.errorbar(xs, means, [std or 0 for std in stds], label=label, **style)
    return means


def _styles(labels):
    """A color and a dash for each line."""
    return {
        label: {"color": f"C{i % 10}", "linestyle": ("-", "--", "-.")[i // 10 % 3]}
        for i, label in enumerate(dict.fromkeys(labels))
    }


def _axes(x, title):
    axes = Figure(figsize=SIZE, layout="constrained").add_subplot()
    axes.set(xlabel=x, ylabel="test accuracy (%)", title=title)
    axes.grid(alpha=0.3)
    return axes


def _ticks(axes, values, labels):
    """Ticks at the values, on a logarithmic axis where they spread over a factor of 8.

    Gives a function that moves x aside by the label of its line, for error bars not to hide others.
    """
    low, high = values.min(), values.max()
    log = 0 < 8 * low < high
    axes.set_xscale("log" if log else "linear")
    axes.xaxis.set_major_locator(FixedLocator(values.unique()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")

    def aside(x, label):
        share = 0.04 * (labels.index(label) / len(labels) - 0.5)
        return x * (high / low) ** share if log else x + share * (high - low)

    return aside


def _png(axes):
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    buffer = io.BytesIO()
    axes.figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()

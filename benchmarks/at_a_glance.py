"""What sharpness-aware training brings and costs: the README's table and figure.

    python -m benchmarks.at_a_glance

prints the table and draws `docs/results/at_a_glance.svg`, both from the comparisons in
`docs/results/fashion_mnist_resnet`, which `examples/study/fashion_mnist.py` has written. Needs the
extra `compare`.
"""

import argparse
import pathlib


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

import matplotlib
from matplotlib.figure import Figure

from examples.study import svg
from keras_zsharp.comparing import Comparison
from keras_zsharp.comparing.pictures import COLORS, first_words

RESULTS = pathlib.Path(__file__).parents[1] / "docs" / "results"
SETTING = "sgd-20-wrong-labels"
METHODS = {
    "Optimizer alone": ("SGD", 1),
    "Optimizer alone, twice the epochs": ("SGD, twice the epochs", 1),
    "SAM": ("`SAM(rho=0.2)`", 2),
    "ZSharp of the paper's radius": ('`ZSharp(rho=0.05, norm="per_variable")`, as in the paper', 2),
    "ZSharp, per variable": ('`ZSharp(rho=0.1, norm="per_variable")`', 2),
}
"""By the methods' labels, at the chosen radii: label, and passes over the data in an epoch."""

SETTINGS = {
    "sgd-20-wrong-labels": "SGD, 20 % wrong labels",
    "adamw-20-wrong-labels": "AdamW, 20 % wrong labels",
    "sgd-clean-labels": "SGD, clean labels",
}
"""Of the table, by folder. SAM's radius is the one chosen for each."""


def comparison(setting):
    return Comparison.load(RESULTS / "fashion_mnist_resnet" / setting)


def read():
    """All epochs of the chosen runs of `METHODS`, with their passes so far."""
    its = comparison(SETTING)
    epochs = its.epochs[its.epochs["choice"] == its.epochs["method"].map(its.choices)]
    epochs = epochs[epochs["method"].isin(METHODS)]
    passes = epochs["method"].map(lambda method: METHODS[method][1])
    return epochs.assign(passes=passes * (epochs["epoch"] + 1), percent=100 * epochs.test_accuracy)


def table():
    """The README's table, as Markdown: means over seeds, and the interval of paired differences."""
    lines = [
        "| | optimizer alone | alone, twice the epochs | `SAM` | `SAM` over the optimizer alone |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for setting, label in SETTINGS.items():
        its = comparison(setting)
        methods = ("Optimizer alone", "Optimizer alone, twice the epochs", "SAM")
        means = (f"{100 * its.series(method).mean():.2f}" for method in methods)
        found = its.difference("SAM", "Optimizer alone")
        mean, low, high = (100 * each for each in (found.mean, found.low, found.high))
        lines.append(f"| {' | '.join([label, *means])} | +{mean:.2f} [{low:.2f}, {high:.2f}] |")
    return "\n".join(lines)


def draw(epochs, path):
    """The same runs by passes over the data: the mean over seeds, and their range."""
    with matplotlib.rc_context(svg.INKED):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.subplots()
    for method, (label, _) in METHODS.items():
        seeds = epochs[epochs["method"] == method].groupby("passes")["percent"]
        color = COLORS[first_words(method)]
        style = "-" if method in ("SAM", "Optimizer alone", "ZSharp, per variable") else "--"
        axes.plot(seeds.mean(), style, color=color, linewidth=2, label=label.replace("`", ""))
        low, high = seeds.min(), seeds.max()
        axes.fill_between(low.index, low, high, color=color, alpha=0.15, linewidth=0)
    axes.set(
        xlabel="passes over the data",
        ylabel="test accuracy (%)",
        ylim=(70, 84),
        xlim=(1, 24),
    )
    axes.set_title("Fashion-MNIST, 20 % wrong labels, a small ResNet, 5 seeds", color=svg.INK)
    axes.grid(alpha=0.3)
    legend = {"loc": "outside lower center", "ncols": 2, "fontsize": "small"}
    figure.legend(**legend, labelcolor=svg.INK, facecolor=svg.PAPER)
    svg.write(figure, path)


if __name__ == "__main__":
    draw(read(), RESULTS / "at_a_glance.svg")
    print(table())

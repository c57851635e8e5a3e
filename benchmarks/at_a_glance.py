"""What sharpness-aware training brings and costs: the README's table and figure.

    python benchmarks/at_a_glance.py

prints the table and draws `docs/results/at_a_glance.png`, both from the tables of
`docs/results/fashion_mnist_resnet`, which `python examples/reproduce.py fashion_mnist_resnet`
writes. Needs the extra `reports`.
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

import pandas as pd
from scipy import stats

RESULTS = pathlib.Path(__file__).parents[1] / "docs" / "results"
SETTING = "sgd-20-wrong-labels"
METHODS = {
    "optimizer-alone": ("SGD", 1),
    "optimizer-alone-twice-the-epochs": ("SGD, twice the epochs", 1),
    "sam-rho=0.2": ("`SAM(rho=0.2)`", 2),
    "zsharp-of-the-paper-s-radius": ('`ZSharp(rho=0.05, norm="per_variable")`, as in the paper', 2),
    "zsharp-per-variable-rho=0.1": ('`ZSharp(rho=0.1, norm="per_variable")`', 2),
}
"""By the names of their runs: label, and passes over the data in an epoch."""

SETTINGS = {
    "sgd-20-wrong-labels": "SGD, 20 % wrong labels",
    "adamw-20-wrong-labels": "AdamW, 20 % wrong labels",
    "sgd-clean-labels": "SGD, clean labels",
}
"""Of the table: labels by the names of their runs. SAM's radius is the one chosen for each."""


def read_results():
    """Test accuracies in % by the names of runs."""
    results = pd.read_csv(RESULTS / "fashion_mnist_resnet" / "results.csv", index_col="run")
    return 100 * results["test_accuracy"]


def read():
    """All epochs of the runs of `METHODS`, with `method` and `passes` so far."""
    epochs = pd.read_csv(RESULTS / "fashion_mnist_resnet" / "epochs.csv")
    names = epochs["run"].str.extract(rf"^{SETTING}-(?P<method>.+)-seed(?P<seed>\d+)$")
    epochs = epochs.join(names)
    epochs = epochs[epochs["method"].isin(METHODS)]
    passes = epochs["method"].map(lambda method: METHODS[method][1])
    return epochs.assign(passes=passes * (epochs["epoch"] + 1), percent=100 * epochs.test_accuracy)


def table(results):
    """The README's table, as Markdown: means over seeds, and the interval of paired differences."""
    lines = [
        "| | optimizer alone | alone, twice the epochs | `SAM` | `SAM` over the optimizer alone |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for setting, label in SETTINGS.items():
        alone, longer, sam = (
            results.filter(regex=rf"^{setting}-{method}-seed\d$").to_numpy()
            for method in ("optimizer-alone", "optimizer-alone-twice-the-epochs", "sam-rho=0.2")
        )
        low, high = interval(sam - alone)
        means = (f"{percents.mean():.2f}" for percents in (alone, longer, sam))
        difference = f"+{(sam - alone).mean():.2f} [{low:.2f}, {high:.2f}]"
        lines.append(f"| {' | '.join([label, *means, difference])} |")
    return "\n".join(lines)


def interval(differences):
    """The mean's 95 % interval by Student's t."""
    freedom = len(differences) - 1
    return stats.t.interval(0.95, freedom, differences.mean(), stats.sem(differences))


def draw(epochs, path):
    """The same runs by passes over the data: the mean over seeds, and their range."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for method, (label, _) in METHODS.items():
        seeds = epochs[epochs["method"] == method].groupby("passes")["percent"]
        [line] = axes.plot(seeds.mean(), label=label.replace("`", ""))
        axes.fill_between(*zip(*seeds.min().items(), strict=True), seeds.max(), alpha=0.15)
        line.set_linewidth(2)
    axes.set(
        xlabel="passes over the data",
        ylabel="test accuracy (%)",
        title="Fashion-MNIST, 20 % wrong labels, a small ResNet, 5 seeds",
        ylim=(70, 84),
        xlim=(1, 24),
    )
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    found = read()
    draw(found, RESULTS / "at_a_glance.png")
    print(table(read_results()))

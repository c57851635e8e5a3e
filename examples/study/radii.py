"""Which share of SAM's tuned gain one fixed radius keeps, on each data set of the reports.

    python -m examples.study.radii

The gain is that over the optimizer alone. A radius that was not chosen has only the runs of the
seeds that chose: its share is of these seeds. Prints a table as Markdown.
"""

import argparse
import json
import pathlib


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

from keras_zsharp.comparing import Comparison

RESULTS = pathlib.Path(__file__).parents[2] / "docs" / "results"
SETTINGS = {
    "digits_wall_clock/digits-40-wrong-labels": ("AdamW", "digits, 40 % wrong labels, AdamW"),
    "digits_fsam_tables_1_2/digits-40-wrong-labels": ("SGD", "the same, SGD"),
    "fashion_mnist_resnet/adamw-20-wrong-labels": (
        *("Optimizer alone", "Fashion-MNIST, small ResNet, 20 % wrong labels, AdamW"),
    ),
    "fashion_mnist_resnet/sgd-20-wrong-labels": ("Optimizer alone", "the same, SGD"),
    "fashion_mnist_resnet/sgd-clean-labels": ("Optimizer alone", "the same, clean labels, SGD"),
    "fashion_mnist_vit/adamw-20-wrong-labels": (
        *("Optimizer alone", "Fashion-MNIST, small ViT, 20 % wrong labels, AdamW"),
    ),
    "etth_forecasting/ETTh1-96": ("Adam", "ETTh1, 96 hours ahead, Adam"),
}
RADII = (0.05, 0.1, 0.2, 0.5, 1.0)


def shares(its: Comparison, alone: str) -> dict[float, float]:
    """The share of the tuned gain in %, by radius."""
    runs = its.runs[(its.runs["method"] == "SAM") & (its.runs["failed"] == "")]
    by_choice = {c: r.set_index("seed")[its.metric] for c, r in runs.groupby("choice")}
    gains = {choice: (values - its.series(alone)).dropna() for choice, values in by_choice.items()}
    best = gains[its.choices["SAM"]]
    return {
        json.loads(choice)["rho"]: 100
        * gain.mean()
        / best[gain.index.intersection(best.index)].mean()
        for choice, gain in gains.items()
    }


def table() -> str:
    """The shares as Markdown."""
    lines = [f"| | {' | '.join(map(str, RADII))} |", f"| --- |{' ---: |' * len(RADII)}"]
    for folder, (alone, label) in SETTINGS.items():
        found = shares(Comparison.load(RESULTS / folder), alone)
        cells = (f"{found[rho]:.0f}" if rho in found else "" for rho in RADII)
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())

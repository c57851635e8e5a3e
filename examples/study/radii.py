"""Which share of a rule's tuned gain one fixed radius keeps, on each data set of the reports.

    python -m examples.study.radii

The gain is that over the optimizer alone. A radius that was not chosen has only the runs of the
seeds that chose: its share is of these seeds. Prints two tables as Markdown: SAM's shares, and for
each rule the radius to start with.
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
    "digits_passes/digits-40-wrong-labels": ("AdamW", "digits, 40 % wrong labels, AdamW"),
    "digits_zsharp_table1/digits-40-wrong-labels": (
        *("AdamW", "the same, radii chosen by labels as wrong"),
    ),
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
ROWS = {
    "SAM": ("SAM",),
    "SAM(ascent_fraction=0.25)": ("SAM, a quarter", "SAM, ascent on a quarter"),
    'SAM(perturb_only="normalization")': ("SAM, normalization only", "SAM-ON"),
    "ZSharp": ("ZSharp, global", "ZSharp, norm=global", "ZSharp"),
    'ZSharp(norm="per_variable")': ("ZSharp, per variable", "ZSharp"),
    "ASAM": ("ASAM",),
    "FriendlySAM": ("F-SAM", "Friendly-SAM"),
    "FisherSAM": ("FisherSAM", "Fisher SAM"),
    "GSAM": ("GSAM",),
    "LookSAM": ("LookSAM",),
    "MSAM": ("MSAM",),
    "SANER": ("SANER",),
}
"""The rows of the reports that are of a rule, the first one that a report has."""
PER_VARIABLE = ("digits_fsam", "digits_zsharp")
"""Reports in which `ZSharp` is that of the paper's code. In the others it is the default."""
SMALL = 0.01
"""A gain of less than this share of the metric says nothing of radii."""


def row(rule: str, folder: str, its: Comparison) -> str | None:
    """The label of a rule in a report, if there are radii of it to compare."""
    labels = [label for label in ROWS[rule] if label in its.labels]
    is_other = folder.startswith(PER_VARIABLE) == (rule == "ZSharp")
    if rule.startswith("ZSharp") and "ZSharp" in labels and is_other:
        labels.remove("ZSharp")
    radii = its.runs["choice"].where(its.runs["choice"].str.contains('"rho"'))
    found = [label for label in labels if radii[its.runs["method"] == label].nunique() > 1]
    return found[0] if found else None


def shares(its: Comparison, alone: str, label: str = "SAM") -> dict[float, float]:
    """The share of the tuned gain in %, by radius."""
    runs = its.runs[(its.runs["method"] == label) & (its.runs["failed"] == "")]
    by_choice = {c: r.set_index("seed")[its.metric] for c, r in runs.groupby("choice")}
    gains = {choice: (values - its.series(alone)).dropna() for choice, values in by_choice.items()}
    best = gains[its.choices[label]]
    return {
        json.loads(choice)["rho"]: 100
        * gain.mean()
        / best[gain.index.intersection(best.index)].mean()
        for choice, gain in gains.items()
    }


def gains_enough(its: Comparison, alone: str, label: str) -> bool:
    """Whether the tuned rule is better than the optimizer alone by more than `SMALL`."""
    gain = its.difference(label, alone).mean * (-1 if its.mode == "min" else 1)
    return gain > SMALL * its.series(alone).mean()


def starting() -> dict[str, tuple[float, list[float]]]:
    """By rule, of the radii that all its reports have, the one whose smallest share is largest.

    Rules of one report alone have none. The shares of that radius come with it.
    """
    loaded = {folder: Comparison.load(RESULTS / folder) for folder in SETTINGS}
    found = {}
    for rule in ROWS:
        tables = []
        for folder, its in loaded.items():
            alone, label = SETTINGS[folder][0], row(rule, folder, its)
            if label is not None and gains_enough(its, alone, label):
                tables.append(shares(its, alone, label))
        if len(tables) > 1 and (common := set.intersection(*map(set, tables))):
            best = max(common, key=lambda rho: min(table[rho] for table in tables))
            found[rule] = best, [table[best] for table in tables]
    return found


def table() -> str:
    """SAM's shares as Markdown."""
    lines = [f"| | {' | '.join(map(str, RADII))} |", f"| --- |{' ---: |' * len(RADII)}"]
    for folder, (alone, label) in SETTINGS.items():
        found = shares(Comparison.load(RESULTS / folder), alone)
        cells = (f"{found[rho]:.0f}" if rho in found else "" for rho in RADII)
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def starting_table() -> str:
    """The radii to start with as Markdown."""
    lines = ["| rule | starting `rho` | keeps, in % | settings |", "| --- | ---: | ---: | ---: |"]
    for rule, (rho, kept) in starting().items():
        lines.append(f"| `{rule}` | {rho:g} | {min(kept):.0f} to {max(kept):.0f} | {len(kept)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(), starting_table(), sep="\n\n")

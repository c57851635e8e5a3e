"""Writes the report on a study: `report.md`, and its pictures.

    python -m examples.study.report docs/results/digits_controls

The folder has one of `Comparison.save` for each setting, and `report.json`: the title, the
conclusion, the study, and what else the report shows. All figures are `Comparison`'s.
"""

import argparse
import dataclasses
import json
import pathlib


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path, help="of the results")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

import matplotlib
import pandas as pd

from examples.study import svg
from keras_zsharp.comparing import Comparison

LOWER = ("nll", "loss", "mae", "mse", "sharpness", "eigenvalue")
COLUMNS = "[What the columns say](../experiments.md#what-a-report-says)."
KINDS = {
    "differences": "differences",
    "seconds": "by seconds",
    "epochs": "by epoch",
    "choices": "by choice",
}
"""The pictures of `Comparison.plot`, and what is written for those who do not see them."""


def markdown(folder: pathlib.Path) -> str:
    """The report on the comparisons in a folder."""
    about = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    parts = [f"# {about['title']}", about["conclusion"]]
    parts.append(
        f"{about['how']} The study: [{about['study']}](../../../{about['study']}). {COLUMNS}"
    )
    comparisons = {name: Comparison.load(folder / name) for name in about["settings"]}
    for name, its in comparisons.items():
        parts += [f"## {about['settings'][name]}", as_table(rows(its, about.get("timed")))]
        if pairs := about.get("pairs"):
            lines = [(*pair, *interval(its, its.difference(*pair))) for pair in pairs]
            parts.append(
                as_table(pd.DataFrame(lines, columns=["method", "over", "by", "could show"]))
            )
        parts += [f"![{text}]({picture(name, text)})" for text in kinds(its, about).values()]
        if measures := [name for name in about.get("measures", ()) if name in its.runs]:
            parts += ["### After training", as_table(measured(its, measures))]
    parts += ["## Where the results are from", "\n".join(sources(comparisons.values()))]
    return "\n\n".join(parts) + "\n"


def rows(its, timed):
    """The table of a comparison, as text, without columns that nothing fills."""
    noisy = f"noisy_{its.choose_by}"
    by_noisy = dataclasses.replace(its, choose_by=noisy) if noisy in its.runs else None
    chosen_by_noisy = None if by_noisy is None else by_noisy.table()["chosen"]
    lines = []
    for label, row in its.table().iterrows():
        line = {"method": label, "chosen": row["chosen"], words(its.metric): spread(its, label)}
        line["best"] = number(its, its.best_epoch(label))
        if by_noisy is not None:
            line["by noisy labels"] = f"{chosen_by_noisy[label]} {spread(by_noisy, label)}".strip()
        found = ("", "") if label == its.reference else interval(its, its.difference(label))
        line[f"over {its.reference}"], line["could show"] = found
        line["train loss"] = f"{its.series(label, 'loss').mean():.4f}"
        if "passes" in row:
            line["passes"] = f"{row['passes']:.4g}"
        if timed:
            line["seconds"] = f"{row['seconds']:.1f}"
        lines.append({**line, "runs": str(row["runs"])})
    frame = pd.DataFrame(lines)
    return frame.loc[:, (frame != "").any()]


def measured(its, measures):
    """Other metrics, of the methods that have them for all seeds, and their differences."""
    of = {words(name): dataclasses.replace(its, metric=name) for name in measures}
    lines = []
    for label in its.labels:
        if its.series(label, measures[0]).notna().all():
            lines.append({"method": label, **{n: spread(each, label) for n, each in of.items()}})
            if label != its.reference:
                found = {n: interval(each, each.difference(label))[0] for n, each in of.items()}
                lines.append({"method": f"{label}, over {its.reference}", **found})
    return pd.DataFrame(lines)


def words(metric):
    return metric.replace("_", " ")


def number(its, value, sign=""):
    """A value of the metric as text: in %, unless it is a loss."""
    if pd.isna(value):
        return ""
    return f"{value:{sign}.3f}" if its.metric.endswith(LOWER) else f"{100 * value:{sign}.2f}"


def spread(its, label):
    """Mean and sample standard deviation, as text."""
    values = its.series(label)
    return " ± ".join(filter(None, (number(its, values.mean()), number(its, values.std()))))


def interval(its, difference):
    """A difference with its interval, and what could show, as text."""
    mean, low, high = (number(its, getattr(difference, n), "+") for n in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]" if low else mean, number(its, difference.could_show)


def kinds(its, about):
    """The pictures that there is something for, by kind."""
    several = its.runs.groupby("method")["choice"].nunique().max() > 1
    shown = {
        "differences": len(its.labels) > 1 and not its.series(its.reference).empty,
        "seconds": about.get("timed"),
        "epochs": its.metric in its.epochs,
        "choices": several,
    }
    return {kind: text for kind, text in KINDS.items() if shown[kind]}


def picture(name, text):
    """The file of a picture, in the folder of the report."""
    return f"pictures/{name}-{text.replace(' ', '-')}.svg"


def sources(comparisons):
    """What the runs note of themselves, as a list."""
    noted = pd.concat([its.provenance for its in comparisons])
    noted = noted.groupby([n for n in noted if n != "runs"], sort=False)["runs"].sum()
    for row in noted.reset_index().to_dict("records"):
        yield (
            f"- {row['runs']} runs: `{row['command']}`, at {row['commit'] or 'no commit'}, "
            f"{row['date']}. {row['hardware']}; Keras {row['keras']}, {row['backend']}, "
            f"keras-zsharp {row['keras-zsharp']}, NumPy {row['numpy']}, Python {row['python']}."
        )


def as_table(frame):
    """Markdown of a data frame of text."""
    lines = [list(frame), ["---", *["---:"] * (len(frame.columns) - 1)], *frame.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main():
    folder = parse().folder
    (folder / "report.md").write_text(markdown(folder), encoding="utf-8")
    (folder / "pictures").mkdir(exist_ok=True)
    about = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    for name in about["settings"]:
        its = Comparison.load(folder / name)
        for kind, text in kinds(its, about).items():
            with matplotlib.rc_context(svg.INKED):
                svg.write(its.plot(kind), folder / picture(name, text))
    print(f"Written: {folder / 'report.md'}")


if __name__ == "__main__":
    main()

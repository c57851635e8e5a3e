"""Measures the networks that `reproduce.py` has trained: do flat minima keep more, or know more?

    python examples/reproduce.py fashion_mnist_vit
    python examples/after_training.py fashion_mnist_vit

Of every run with chosen arguments: the accuracy on the test data, in 8 and 4 bits
(`keras.Model.quantize`), under noise and blur; the negative log likelihood and the calibration
error. They come to be in `after_training.csv`, and `after_training.md` has them by method, beside
the output's `results.csv`. What is there is not measured again; `--report-only` takes just these
CSVs.
"""

import sys

import numpy as np
import pandas as pd

from experiments import files, parts, plan, programs, report, summary, tables, trained

CSV, REPORT = "after_training.csv", "after_training.md"


def main(arguments=None):
    options = parse(arguments)
    with programs.stopping(options.output):
        try:
            print(f"Written: {write(options)}")
        except ValueError as error:
            sys.exit(str(error))


def write(options):
    """Measures what is missing, and writes the report; returns its path."""
    todo = plan.Plan(plan.read(options.config), options.output, only=options.only)
    told = tables.of(todo)
    found = measured(options.output)
    if not options.report_only:
        found = measure(todo, told, found, options.data_dir)
    path = options.output / REPORT
    with files.whole(path) as partial:
        partial.write_text(markdown(told, found), encoding="utf-8")
    return path


def measured(output):
    """The measures there are, a line a run."""
    if not (output / CSV).exists():
        return pd.DataFrame(columns=["run", *trained.NAMES])
    return pd.read_csv(output / CSV)


def measure(todo, told, found, data_dir):
    """The same with those of the runs that are missing, each written at once."""
    for row in summary.rows(told):
        for run in row.chosen.runs:
            path = todo.folder(run) / "model.keras"
            if run.seed not in row.chosen.results or run.name in set(found["run"]):
                continue
            if not path.exists():
                print(f"{run.name} has no network: it was taken over from another output")
                continue
            line = {"run": run.name, **trained.measures(path, *test_data(run, data_dir))}
            found = pd.concat([found, pd.DataFrame([line])], ignore_index=True)
            with files.whole(todo.output / CSV) as partial:
                found.to_csv(partial, index=False, float_format="%.9g")
            print(f"{run.name}: {line['accuracy']:.2f} %", flush=True)
    return found


def test_data(run, data_dir):
    """Images and labels, as arrays."""
    bundle = parts.load(run.config, data_dir)
    batches = list(bundle.test.as_numpy_iterator())
    images, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    return images, labels.argmax(-1) if bundle.one_hot else labels


def markdown(told, found):
    """The report: by method, the measures, and the differences from the optimizer alone."""
    by_run = found.set_index("run")
    for mode in ("int8", "int4"):
        lost = by_run["accuracy"] - by_run[mode]
        by_run.insert(by_run.columns.get_loc(mode), f"lost in {mode}", lost)
    by_run = by_run.drop(columns=["int8", "int4"])
    sections = [section(rows, by_run) for rows in report.by_setting(summary.rows(told))]
    template = report.TEMPLATES.get_template("after_training.md")
    return template.render(grid=told.grid, sections=list(filter(None, sections)))


def section(rows, by_run):
    """What the template has for a setting; None where nothing of it is measured."""
    arms = {row.method.label: _by_seed(row.chosen, by_run) for row in rows}
    arms = {label: values for label, values in arms.items() if len(values)}
    if not arms:
        return None
    means = _table(arms, lambda values: report.spread(*summary.mean_std(values)))
    alone = next((row.method.label for row in rows if row.method.rule is None), None)
    its = arms.pop(alone, None)
    differences = []
    if its is not None:
        differences = _table(arms, lambda values: _over(values, its[values.name]))
    label = rows[0].setting.label
    return {"label": label, "means": means, "differences": differences, "alone": alone}


def _by_seed(arm, by_run):
    """The measures of an arm's runs, a line a seed."""
    seeds = {run.name: run.seed for run in arm.runs if run.name in by_run.index}
    return by_run.loc[list(seeds)].rename(index=seeds)


def _table(arms, cell):
    """A line a method, a cell a measure."""
    return pd.DataFrame(
        {"method": label, **{name: cell(values[name]) for name in values}}
        for label, values in arms.items()
    )


def _over(mine, its):
    return report.over(summary.paired(mine.to_dict(), its.to_dict()))[0]


def parse(arguments):
    options = programs.parser_of_grid(__doc__).parse_args(arguments)
    options.output = programs.output_of(options)
    return options


if __name__ == "__main__":
    main()

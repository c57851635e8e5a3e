"""Measures the networks that `reproduce.py` has trained: do networks in flat minima lose less?

    python examples/reproduce.py fashion_mnist_vit
    python examples/after_training.py fashion_mnist_vit

Of every run with chosen arguments: the accuracy on the test data, in 8 and 4 bits
(`keras.Model.quantize`), under noise and blur; the negative log likelihood and the calibration
error. `after_training.csv` gets them, and `after_training.md` has them by method, beside the
output's `results.csv`. What is there is not measured again; `--report-only` takes these CSVs alone.
"""

import numpy as np
import pandas as pd

from experiments import building, files, plan, programs, report, results, tables, trained

CSV, REPORT = "after_training.csv", "after_training.md"


def main(arguments=None):
    options = programs.parser_of_grid(__doc__).parse_args(arguments)
    options.output = programs.output_of(options)
    with programs.stopping(options.output):
        print(f"Written: {write(options)}")


def write(options):
    """Measures what is missing, and writes the report; returns its path."""
    todo = plan.Plan(plan.read(options.config), options.output, only=options.only)
    told = tables.of(todo)
    runs = results.chosen(told.runs)
    found = pd.DataFrame(columns=["run", *trained.NAMES])
    if (options.output / CSV).exists():
        found = pd.read_csv(options.output / CSV)
    if not options.report_only:
        found = measure(todo, runs, found, options.data_dir)
    path = options.output / REPORT
    with files.whole(path) as partial:
        measured = runs.join(found.set_index("run"), how="inner")
        partial.write_text(markdown(todo.grid, measured), encoding="utf-8")
    return path


def measure(todo, runs, found, data_dir):
    """The measures found, and those of the runs that have none yet, each written at once."""
    wanted = runs.index.difference(found["run"])
    for run in (run for run in todo.runs if run.name in wanted):
        path = todo.folder(run) / "model.keras"
        if not path.exists():
            print(f"{run.name} has no network: it was taken over from another output")
            continue
        line = {"run": run.name, **trained.measures(path, *test_data(run, data_dir))}
        found = pd.DataFrame([*found.to_dict("records"), line])
        with files.whole(todo.output / CSV) as partial:
            found.to_csv(partial, index=False, float_format="%.9g")
        print(f"{run.name}: {line['accuracy']:.2f} %", flush=True)
    return found


def test_data(run, data_dir):
    """Images and labels, as arrays."""
    bundle = building.dataset(run.config, data_dir)
    images, labels = map(np.concatenate, zip(*bundle.test.as_numpy_iterator(), strict=True))
    return images, labels.argmax(-1) if bundle.one_hot else labels


def markdown(grid, measured):
    """The report: by method, the measures, and the differences from the optimizer alone."""
    quantized = measured[["int8", "int4"]]
    measured[quantized.columns] = quantized.rsub(measured["accuracy"], axis="index")
    names = {name: f"lost in {name}" if name in quantized else name for name in trained.NAMES}
    measured = measured.set_index(["setting", "method", "seed"])[list(names)].rename(columns=names)
    alone = [method.label for method in grid.methods if method.rule is None]
    sections = [
        section(setting, its.droplevel("setting"), alone)
        for setting, its in measured.groupby("setting", sort=False)
    ]
    return report.TEMPLATES.get_template("after_training.md").render(grid=grid, sections=sections)


def section(setting, measured, alone):
    """What the template has for a setting."""
    methods = {method: its.loc[method] for method, its in measured.groupby("method", sort=False)}
    means = _table(methods, lambda values: results.spread(*results.mean_std(values)))
    alone = next(filter(methods.__contains__, alone), None)
    its = methods.pop(alone, None)
    differences = {} if its is None else methods
    differences = _table(
        differences, lambda values: results.difference(values, its[values.name])[0]
    )
    return {"label": setting, "means": means, "differences": differences, "alone": alone}


def _table(methods, cell):
    """A line a method, a cell a measure."""
    return pd.DataFrame(
        {"method": m, **{n: cell(its[n]) for n in its}} for m, its in methods.items()
    )


if __name__ == "__main__":
    main()

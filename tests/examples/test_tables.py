"""A report is computed from two CSVs, with or without the runs that they are of."""

import pathlib
import shutil

import numpy as np
import pytest
import reproduce

from experiments import plan, provenance, report, tables
from tests.examples.test_report import finish, made

RESULTS = pathlib.Path(__file__).parents[2] / "docs" / "results"


@pytest.fixture
def todo(tmp_path):
    todo = made(tmp_path, timed=True)
    for run in todo.runs:
        finish(todo, run, 0.9 + 0.01 * run.seed, 0.4)
    return todo


def without_runs(todo):
    for run in todo.runs:
        shutil.rmtree(todo.folder(run))


def test_the_runs_are_not_needed(todo):
    assert not tables.are_alone(todo.output)
    first = report.write(todo).read_bytes()
    without_runs(todo)
    assert tables.are_alone(todo.output)
    assert report.write(todo).read_bytes() == first


def test_numbers_of_single_precision_stay(todo):
    accuracy = float(np.float32(0.123456789))
    finish(todo, todo.runs[0], accuracy)
    assert np.float32(tables.of(todo).runs["test_accuracy"].iloc[0]) == np.float32(accuracy)


def test_a_run_that_is_undone_is_not_taken_from_the_tables(todo):
    report.write(todo)
    shutil.rmtree(todo.folder(todo.runs[0]))
    again = plan.Plan(todo.grid, todo.output)
    assert again.left() == [todo.runs[0]]
    assert not tables.of(again).runs["finished"].iloc[0]


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "results.csv",
            '""batch_size"": 64',
            '""batch_size"": 32',
            "has the run a-adamw-seed0",
        ),
        ("epochs.csv", "a-adamw-seed0,1,", "a-adamw-seed7,1,", "must have 2 epochs .* It has 1"),
        ("epochs.csv", "a-adamw-seed0,1,", "a,1,1,1,1,1,1,1,", "has no whole results.csv and epo"),
        ("results.csv", "run,", "ran,", "has no whole results.csv and epochs.csv: 'run'"),
        ("results.csv", "test_accuracy,", "accuracy,", "no whole results.csv .*: 'test_accuracy'"),
    ],
)
def test_tables_that_do_not_fit(todo, name, old, new, message):
    report.write(todo)
    without_runs(todo)
    change(todo.output / name, old, new)
    with pytest.raises(ValueError, match=message):
        tables.of(todo)


def test_where_results_are_from(todo):
    noted = provenance.now()
    assert noted["backend"].startswith("tensorflow 2.")
    assert noted["commit"] is None or len(noted["commit"]) == 40
    assert noted["clean"] in (None, True, False)
    assert all(isinstance(noted[name], str) for name in ("numpy", "hardware", "date", "command"))
    for number, run in enumerate(todo.runs):
        path = todo.folder(run) / "result.json"
        found = "c" * 40 if number else "d" * 40
        change(path, '"seconds"', f'"provenance": {{"commit": "{found}"}}, "seconds"')
        todo.look(run)
    text, _ = report.markdown(tables.of(todo))
    assert f"| commit | runs |\n| --- | ---: |\n| {'d' * 40} | 1 |\n| {'c' * 40} | 8 |" in text


@pytest.mark.project
@pytest.mark.parametrize("path", RESULTS.glob("*/report.md"), ids=lambda path: path.parent.name)
def test_reports_are_what_their_tables_make(path, tmp_path, capsys):
    output = tmp_path / "out"
    output.mkdir()
    for name in (tables.RESULTS, tables.EPOCHS):
        shutil.copy(path.with_name(name), output)
    reproduce.main([path.parent.name, "--report-only", "--output", str(output)])
    assert capsys.readouterr().out == f"Written: {output / 'report.html'}\n"
    written = (output / "report.md").read_text(encoding="utf-8")
    assert written == path.with_name("report.md").read_text(encoding="utf-8")
    pictures = {picture.name for picture in (output / "pictures").iterdir()}
    assert pictures == {picture.name for picture in (path.parent / "pictures").iterdir()}

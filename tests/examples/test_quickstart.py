import csv
import pathlib

import pytest

from examples import quickstart

ROOT = pathlib.Path(__file__).parents[2]


def rows_of(path):
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    return [
        {name: value if name == "method" else float(value) for name, value in row.items()}
        for row in rows
    ]


def test_trains_prints_and_writes(tmp_path, capsys):
    arguments = ["--epochs", "2", "--seeds", "2", "--methods", "adamw", "zsharp_per_variable"]
    quickstart.main([*arguments, "--output", str(tmp_path / "new")])
    printed = capsys.readouterr().out
    rows = rows_of(tmp_path / "new" / "quickstart.csv")
    assert [row["method"] for row in rows] == ["AdamW", "ZSharp per variable, rho=0.2"]
    assert [row["seeds"] for row in rows] == [2, 2]
    assert all(row["accuracy_std"] > 0 and row["step_ms"] > 0 for row in rows)
    assert quickstart.markdown(rows) in printed
    assert "ZSharp per variable, rho=0.2, seed 1" in printed
    assert "2/2" in printed
    assert (tmp_path / "new" / "quickstart.png").read_bytes()[:4] == b"\x89PNG"


def test_interrupted_run_keeps_what_has_finished(tmp_path, capsys, monkeypatch):
    train, calls = quickstart.train, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(*arguments)

    monkeypatch.setattr(quickstart, "train", interrupted)
    arguments = ["--epochs", "1", "--seeds", "1", "--methods", "sam", "adamw"]
    quickstart.main([*arguments, "--output", str(tmp_path)])
    assert "Interrupted; this is what had finished." in capsys.readouterr().out
    assert [row["method"] for row in rows_of(tmp_path / "quickstart.csv")] == ["SAM, rho=0.2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs and --seeds must be >= 1"),
        (["--noise", "1.5"], "--noise must be in [0, 1]"),
        (["--methods", "gsam"], "invalid choice: 'gsam'"),
        (["--output", __file__], "--output must be a folder that can be written"),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit):
        quickstart.main(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["quickstart", "quickstart-60-epochs"])
def test_readme_shows_the_measured_tables(name):
    rows = rows_of(ROOT / "docs" / "results" / f"{name}.csv")
    assert quickstart.markdown(rows) in (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(rows) == len(quickstart.METHODS)

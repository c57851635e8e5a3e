import csv
import functools
import pathlib

import pytest

import keras_zsharp
from examples import quickstart

ROOT = pathlib.Path(__file__).parents[2]


def rows_of(path):
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    return [
        {name: value if name == "method" else float(value) for name, value in row.items()}
        for row in rows
    ]


@pytest.fixture
def few_images(monkeypatch):
    """128 for training, in place of 1,200."""
    few = functools.partial(keras_zsharp.data.digits, batch_size=32, train_size=128)
    monkeypatch.setattr(keras_zsharp.data, "digits", few)


@pytest.mark.slow
def test_trains_prints_and_writes(few_images, tmp_path, capsys):
    arguments = ["--epochs", "2", "--seeds", "1", "--methods", "adamw", "sam"]
    quickstart.main([*arguments, "--output", str(tmp_path / "new")])
    printed = capsys.readouterr().out
    rows = rows_of(tmp_path / "new" / "quickstart.csv")
    assert [row["method"] for row in rows] == ["AdamW", "SAM, rho=0.2"]
    assert [row["seeds"] for row in rows] == [1, 1]
    assert all(row["accuracy_std"] == 0 and row["step_ms"] > 0 for row in rows)
    assert quickstart.markdown(rows) in printed
    assert (tmp_path / "new" / "quickstart.md").read_text() == quickstart.markdown(rows) + "\n"
    assert "SAM, rho=0.2, seed 0" in printed
    assert "2/2" in printed
    assert (tmp_path / "new" / "quickstart.png").read_bytes()[:4] == b"\x89PNG"


def test_a_row_is_the_mean_of_the_seeds_in_their_last_epoch():
    runs = [
        {"accuracy": [0.0, 90.0], "loss": 0.5, "sharpness": 0.1, "step": 0.002},
        {"accuracy": [0.0, 94.0], "loss": 1.5, "sharpness": 0.3, "step": 0.004},
    ]
    [row] = quickstart.summary({"sam": runs})
    assert (row["method"], row["seeds"]) == ("SAM, rho=0.2", 2)
    assert row["accuracy_mean"] == 92
    assert row["accuracy_std"] == pytest.approx(8**0.5, abs=1e-4)
    assert (row["train_loss"], row["sharpness"], row["step_ms"]) == (1.0, 0.2, 3.0)


def test_interrupted_run_keeps_what_has_finished(tmp_path, capsys, monkeypatch):
    def interrupted(method, *_):
        if method == "adamw":
            raise KeyboardInterrupt
        return {"accuracy": [90.0], "loss": 0.5, "sharpness": 0.1, "step": 0.002}

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


@pytest.mark.project
@pytest.mark.parametrize("name", ["quickstart", "quickstart-60-epochs"])
def test_the_committed_tables_are_what_was_written(name):
    results = ROOT / "docs" / "results"
    rows = rows_of(results / f"{name}.csv")
    assert quickstart.markdown(rows) + "\n" == (results / f"{name}.md").read_text(encoding="utf-8")
    assert len(rows) == len(quickstart.METHODS)

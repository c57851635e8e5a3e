import functools
import pathlib
import re

import pytest

import keras_zsharp
from examples import quickstart

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def few_images(monkeypatch):
    """128 for training, in place of 1,200."""
    few = functools.partial(keras_zsharp.data.digits, batch_size=32, train_size=128)
    monkeypatch.setattr(keras_zsharp.data, "digits", few)


@pytest.mark.slow
def test_trains_and_prints(few_images, monkeypatch, capsys):
    methods = {name: quickstart.METHODS[name] for name in ("AdamW", "SAM, rho=0.2")}
    monkeypatch.setattr(quickstart, "METHODS", methods)
    quickstart.main(["--epochs", "2", "--seeds", "1"])
    _, of_run, of_sam, *_, adamw, sam = capsys.readouterr().out.splitlines()
    accuracy = re.fullmatch(r"AdamW, seed 0: ([\d.]+) %", of_run).group(1)
    assert of_sam.startswith("SAM, rho=0.2, seed 0: ")
    assert adamw.startswith(f"| AdamW | {accuracy} ± 0.0 | ")
    assert sam.startswith("| SAM, rho=0.2 | ")
    assert all(float(cell) > 0 for line in (adamw, sam) for cell in line.strip("| ").split("|")[2:])


def test_a_row_is_the_mean_of_the_seeds():
    runs = [
        {"accuracy": 90.0, "loss": 0.5, "sharpness": 0.1, "step": 2.0},
        {"accuracy": 94.0, "loss": 1.5, "sharpness": 0.3, "step": 4.0},
    ]
    assert quickstart.row("SAM", runs) == "| SAM | 92.0 ± 2.8 | 1.000 | 0.2000 | 3.0 |"
    assert quickstart.row("SAM", runs[:1]) == "| SAM | 90.0 ± 0.0 | 0.500 | 0.1000 | 2.0 |"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs and --seeds must be >= 1"),
        (["--seeds", "-1"], "--epochs and --seeds must be >= 1"),
        (["--epochs", "two"], "invalid int value: 'two'"),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit):
        quickstart.main(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.project
def test_the_committed_table_is_of_this_program():
    table = (ROOT / "docs" / "results" / "quickstart.md").read_text(encoding="utf-8")
    assert table.startswith(quickstart.HEAD)
    methods = [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[2:]]
    assert methods == list(quickstart.METHODS)

"""Trained networks are measured once, and reported on from a CSV."""

import pathlib
import shutil

import keras
import numpy as np
import pandas as pd
import pytest

from examples import after_training
from experiments import plan, trained
from tests.examples.tiny_grid import NAMES, config, finish

RESULTS = pathlib.Path(__file__).parents[2] / "docs" / "results"


@pytest.fixture
def network(tmp_path):
    """A file of a network that tells the sign of a pixel, and its images and classes."""
    inputs = keras.Input((2, 2, 1))
    x = keras.layers.Flatten()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, use_bias=False)(x))
    kernel = np.zeros((4, 2), "float32")
    kernel[0] = -1, 1
    model.set_weights([kernel])
    model.save(tmp_path / "model.keras")
    images = np.zeros((40, 2, 2, 1), "float32")
    images[:, 0, 0, 0] = np.linspace(-2, 2, 40)
    return tmp_path / "model.keras", images, (images[:, 0, 0, 0] > 0).astype(int)


def test_measures_of_a_network_that_is_known(network):
    path, images, labels = network
    found = trained.measures(path, images, labels)
    assert tuple(found) == trained.NAMES
    assert found["accuracy"] == found["int8"] == 100
    assert found["quantized"] == 100
    x = np.abs(images[:, 0, 0, 0])
    assert found["nll"] == pytest.approx(np.log1p(np.exp(-2 * x)).mean(), rel=1e-5)
    assert found["noise=1.0"] < 100
    # A blurred pixel is a positive part of itself where its neighbours are 0.
    assert found["blur=1.0"] == 100
    found = trained.measures(path, images, 1 - labels)
    assert found["accuracy"] == 0


def test_calibration():
    sure = np.array([[1.0, 0.0]] * 10)
    assert trained.calibration_error(sure, np.zeros(10, int)) == 0
    assert trained.calibration_error(sure, np.ones(10, int)) == 100
    # Ten with 0.9, of which eight are right, and ten with 0.6, of which five are.
    chances = np.array([[0.9, 0.1]] * 10 + [[0.6, 0.4]] * 10)
    labels = np.array([0] * 8 + [1] * 2 + [0] * 5 + [1] * 5)
    assert trained.calibration_error(chances, labels) == pytest.approx(10)


@pytest.fixture
def done(tmp_path):
    """Arguments for a finished grid, of whose networks one is missing; its output."""
    arguments = [config(tmp_path, 1), "--output", str(tmp_path / "out")]
    network = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    for run in plan.read(arguments[0]).runs:
        folder = tmp_path / "out" / run.name
        finish(folder, run.config)
        if run.name != NAMES[3]:
            network.save(folder / "model.keras")
    return arguments, tmp_path / "out"


def test_runs_are_measured_once_and_reported_on(done, capsys, monkeypatch):
    arguments, output = done
    after_training.main(arguments)
    printed = capsys.readouterr().out
    assert f"{NAMES[3]} has no network: it was taken over from another output" in printed
    found = pd.read_csv(output / after_training.CSV)
    assert list(found["run"]) == NAMES[:3]
    assert list(found)[1:] == list(trained.NAMES)
    text = (output / after_training.REPORT).read_text()
    mean = f"{found['accuracy'][::2].mean():.2f} ±"
    [alone] = (line for line in text.splitlines() if line.startswith("| SGD |"))
    assert mean in alone
    # The one common seed has the same network.
    assert 'Differences from "SGD"' in text
    assert "| F-SAM | +0.00 |" in text
    monkeypatch.setattr(trained, "measures", None)
    after_training.main(arguments)
    after_training.main([*arguments, "--report-only"])
    assert (output / after_training.REPORT).read_text() == text


def test_of_nothing_there_is_no_table(tmp_path):
    arguments = [config(tmp_path, 1), "--output", str(tmp_path / "out"), "--report-only"]
    after_training.main(arguments)
    assert "| method |" not in (tmp_path / "out" / after_training.REPORT).read_text()
    with pytest.raises(SystemExit, match="CONFIG must be a file"):
        after_training.main(["nothing"])


@pytest.mark.project
@pytest.mark.parametrize(
    "path", RESULTS.glob("*/after_training.csv"), ids=lambda path: path.parent.name
)
def test_reports_are_what_their_csv_makes(path, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    for name in ("results.csv", "epochs.csv", path.name):
        shutil.copy(path.with_name(name), output)
    after_training.main([path.parent.name, "--report-only", "--output", str(output)])
    written = (output / after_training.REPORT).read_text(encoding="utf-8")
    assert written == path.with_name(after_training.REPORT).read_text(encoding="utf-8")

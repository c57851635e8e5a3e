"""The README's programs run, and its commands are the ones that CI runs."""

import dataclasses
import pathlib
import re

import keras
import pytest
import tensorflow_datasets as tfds

import keras_zsharp
from examples import train
from tests.models.test_networks import NETWORKS

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_programs_in_order(tmp_path, monkeypatch):
    usage, resuming, mixin, measuring, *_ = PROGRAMS
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(usage.replace("epochs=20", "epochs=1, verbose=0"), scope)
    assert (tmp_path / "net.keras").exists()
    assert "sharpness" in scope["model"].history.history
    exec(resuming.replace("epochs=20", "epochs=1"), scope)
    assert not (tmp_path / "backup").exists()
    exec(mixin, scope)
    assert scope["Net"]().perturbation.get_config()["rho"] == 0.05
    scope["data"] = dataclasses.replace(scope["data"], train=scope["data"].test.take(1))
    exec(measuring.replace("points=21", "points=2").replace("epochs=20", "epochs=5"), scope)
    assert (tmp_path / "landscape.png").exists()
    assert "hessian_eigenvalue" in (tmp_path / "log.csv").read_text()


def test_analysis_example():
    [analysis] = [program for program in PROGRAMS if "AscentFrom" in program]
    data = keras_zsharp.data.digits()
    net = keras_zsharp.models.small_cnn(data.input_shape, data.classes)
    scope = {"keras_zsharp": keras_zsharp, "data": data, "net": net}
    exec(analysis, scope)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    scope["model"].compile("adamw", loss)
    history = scope["model"].fit(data.train.take(2), verbose=0).history
    assert history["sharpness"][0] > 0


def test_papers_example():
    [papers] = [program for program in PROGRAMS if "cifar10" in program]
    scope = {"keras_zsharp": keras_zsharp}
    with tfds.testing.mock_data(num_examples=4):
        exec(papers, scope)
    assert scope["net"](next(iter(scope["data"].train))[0]).shape == (4, 10)


def test_training_command_names_what_there_is():
    [command] = re.findall(r"examples/train.py (--.*)", README)
    options = train.parse(command.split())
    assert (options.model, options.perturbation) == ("resnet56", "zsharp")


@pytest.mark.parametrize("name", NETWORKS)
def test_table_of_networks(name):
    assert f"| `{name}` | {NETWORKS[name].parameters:,} |" in README


@pytest.mark.parametrize("name", ["input-pipeline", "selection", "step-time"])
def test_tables_are_the_measured_ones(name):
    assert (ROOT / "docs" / "results" / f"{name}.md").read_text(encoding="utf-8") in README


def test_ci_runs_the_test_command():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    [pattern] = re.findall(r"grep -m1 -- '(.*?)\$' README", script)
    [command] = [line for line in README.splitlines() if line.endswith(pattern)]
    assert '-e ".[test]"' in command

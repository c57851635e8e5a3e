"""Runs in other processes, some of which are killed."""

import pathlib

import pytest

from keras_zsharp.comparing import Method, compare
from tests.comparing import problem

pytestmark = pytest.mark.slow
METHODS = {"SGD": None, "Half": Method(problem.Half, rho=0.2)}
ACCURACY = {"metric": "test_accuracy", "choose_by": "val_accuracy", "progress": False}
ROOT = str(pathlib.Path(__file__).parents[2])


@pytest.fixture(autouse=True)
def path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ROOT)


def test_processes_find_what_this_one_finds(tmp_path):
    here = compare(problem.FIT, METHODS, [0], **ACCURACY)
    there = compare(problem.FIT, METHODS, [0], processes=2, folder=tmp_path, **ACCURACY)
    one, other = (
        each.runs.drop(columns="seconds").sort_values("method", ignore_index=True)
        for each in (here, there)
    )
    assert one.equals(other)


def test_a_killed_process_is_named_and_goes_on_from_its_backup(tmp_path):
    arguments = {"seeds": [0], "folder": tmp_path, "processes": 1, **ACCURACY}
    methods = {"SAM": "sam"}
    with pytest.warns(UserWarning, match="ended with status 9"), pytest.raises(RuntimeError):
        compare(problem.killed_once, methods, **arguments)
    assert (tmp_path / "sam-seed0" / "backup").exists()
    resumed = compare(problem.killed_once, methods, **arguments)
    whole = compare(problem.NOT_KILLED, methods, [0], **ACCURACY)
    metrics = ["loss", "val_loss", "val_accuracy", "test_loss", "test_accuracy", "passes"]
    assert resumed.runs[metrics].equals(whole.runs[metrics])


def test_ray_does_a_killed_run_again_to_the_bit(tmp_path):
    ray = pytest.importorskip("ray")
    methods = {"SAM": "sam"}
    try:
        killed = compare(
            problem.killed_once, methods, [0], folder=tmp_path, ray="local", **ACCURACY
        )
    finally:
        ray.shutdown()
    assert len(list(tmp_path.glob("killed-*"))) == 1
    whole = compare(problem.NOT_KILLED, methods, [0], **ACCURACY)
    metrics = ["loss", "val_loss", "val_accuracy", "test_loss", "test_accuracy", "passes"]
    assert killed.runs[metrics].equals(whole.runs[metrics])


def test_what_cannot_be_imported_is_refused():
    with pytest.raises(TypeError, match="top of a module"):
        compare(lambda rule, seed: {}, METHODS, processes=1, **ACCURACY)

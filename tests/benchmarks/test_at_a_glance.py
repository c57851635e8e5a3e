"""The README's table and figure are those of the results."""

import pathlib

import pytest

from benchmarks import at_a_glance

pytestmark = pytest.mark.project
README = pathlib.Path(__file__).parents[2] / "README.md"


def test_readme_has_the_table():
    assert f"\n{at_a_glance.table()}\n" in README.read_text(encoding="utf-8")


def test_the_figure_is_drawn_of_all_runs(tmp_path):
    epochs = at_a_glance.read()
    assert epochs.groupby(["method", "seed"]).ngroups == 5 * len(at_a_glance.METHODS)
    at_a_glance.draw(epochs, tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").stat().st_size > 10_000

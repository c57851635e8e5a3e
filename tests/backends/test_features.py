"""The table of what works where says what tests have found."""

import pathlib
import re

import pytest

from tests.backends import features

pytestmark = pytest.mark.project
TESTS = pathlib.Path(__file__).parents[1]
CASE = '<testcase classname="tests.test_files" name="test_it">{}</testcase>'


@pytest.mark.parametrize(
    ("of_it", "expected"),
    [
        ([""], "1 passed"),
        (["", '<skipped message="on JAX"/>'], "1 passed"),
        (["", "<failure/>"], "**1 failed**"),
        (["<error/>"], "**1 failed**"),
        (['<skipped message="eager"/>'], "no: eager"),
        ([], "no test"),
    ],
)
def test_a_cell_is_what_tests_found(of_it, expected, tmp_path):
    path = tmp_path / "jax.xml"
    path.write_text(f"<testsuites>{''.join(map(CASE.format, of_it))}</testsuites>")
    header, _, *rows = features.table([path]).splitlines()
    assert header == "| | jax |"
    assert f"| files of each backend go on | {expected} |" in rows


def test_each_feature_has_tests():
    names = [
        f"{path.stem}::{name}[-]"
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.M)
    ]
    for feature, pattern in features.FEATURES.items():
        bare = re.sub(r"::\.\*-\w+", "", pattern)  # The settings of a test are no part of its name.
        assert any(re.search(bare, name) for name in names), feature


def test_nothing_on_the_page_failed():
    page = (TESTS.parent / "docs" / "results" / "backends.md").read_text(encoding="utf-8")
    assert all(f"| {feature} |" in page for feature in features.FEATURES)
    assert "failed" not in page

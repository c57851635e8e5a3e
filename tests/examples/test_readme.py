"""examples/README.md lists what there is."""

import pathlib
import re

import pytest

pytestmark = pytest.mark.project
FOLDER = pathlib.Path(__file__).parents[2] / "examples"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
TO_COPY, OF_PAPERS = README.split("the papers' networks")
PROGRAMS = re.findall(r"^\| \[(\w+\.py)\]", TO_COPY, re.MULTILINE)


def test_every_example_has_its_row():
    listed = re.findall(r"^\| \[(.*?)\]\(\1\) \|", README, re.MULTILINE)
    there = [path.name for path in FOLDER.glob("*.*") if path.suffix in (".py", ".ipynb")]
    assert sorted(listed) == sorted({*there} - {"__init__.py"})


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_to_be_copied_is_short_and_whole(name):
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert len(text.splitlines()) < 100
    assert f"python examples/{name}" in text.split('"""')[1]
    assert "SECONDS" not in text
    assert "from examples" not in text

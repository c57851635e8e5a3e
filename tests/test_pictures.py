"""The pictures of the pages are those that their program draws, and follow the reader's system."""

import importlib.util
import pathlib
import re

import pytest

pytestmark = pytest.mark.project
pytest.importorskip("matplotlib")
ASSETS = pathlib.Path(__file__).parents[1] / "docs" / "assets"


@pytest.fixture(scope="module")
def pictures():
    spec = importlib.util.spec_from_file_location("pictures", ASSETS / "pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def words(path):
    """What matplotlib notes of the text that it draws."""
    return re.findall(r"<!-- (.*?) -->", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["choosing", "idea"])
def test_the_committed_picture_is_of_this_program(pictures, name, tmp_path):
    pictures.svg(getattr(pictures, name)(), tmp_path / "new.svg")
    assert words(tmp_path / "new.svg") == words(ASSETS / f"{name}.svg") != []


@pytest.mark.parametrize("name", ["choosing", "idea"])
def test_every_colour_that_differs_in_the_dark_is_a_variable(pictures, name):
    text = (ASSETS / f"{name}.svg").read_text(encoding="utf-8")
    assert not any(colour in text for colour in pictures.LIGHT)
    light, dark = re.search(r"svg {(.*?)} @media .*dark\) { svg {(.*?)} }", text).groups()
    used = set(re.findall(r"var\((--c\d)\)", text))
    assert used <= set(re.findall(r"(--c\d):", light)) == set(re.findall(r"(--c\d):", dark))
    assert light != dark

"""The pictures of the pages are those that their program draws, and follow the reader's system."""

import pathlib
import re

import numpy as np
import pytest

import keras_zsharp
from docs.assets import bowls, pictures
from examples.study import svg

pytestmark = pytest.mark.project
ASSETS = pathlib.Path(__file__).parents[1] / "docs" / "assets"
BOWLS = [f"bowls/{name}" for name in keras_zsharp.rules.RULES]


def words(path):
    """The text that matplotlib draws or, where it draws outlines, notes."""
    return re.findall(r"(?:<!-- |<text.*?>)(.*?)(?: -->|</text>)", path.read_text(encoding="utf-8"))


def places(path):
    """Where the text of a picture is."""
    found = re.findall(r'<text [^>]*?x="(\S+)" y="(\S+)"', path.read_text(encoding="utf-8"))
    return np.array(found, float)


@pytest.mark.parametrize("name", ["choosing", "idea"])
def test_the_committed_picture_is_of_this_program(name, tmp_path):
    svg.write(getattr(pictures, name)(), tmp_path / "new.svg", fonttype="path")
    assert words(tmp_path / "new.svg") == words(ASSETS / f"{name}.svg") != []


def test_every_rule_has_its_bowl_as_the_rule_computes_it(tmp_path):
    """But RandomSAM's on this backend, which draws other numbers than another one."""
    assert bowls.RULES.keys() == keras_zsharp.rules.RULES.keys()
    for name, rule in bowls.RULES.items():
        committed, new = bowls.HERE / f"{name}.svg", tmp_path / f"{name}.svg"
        svg.write(bowls.bowl(rule), new)
        assert words(new) == words(committed) == ["\N{MINUS SIGN}g", "step", "w + e", "w"]
        if name != "random_sam":
            np.testing.assert_allclose(places(new), places(committed), atol=0.5, err_msg=name)


@pytest.mark.parametrize("name", ["choosing", "idea", *BOWLS])
def test_every_colour_that_differs_in_the_dark_is_a_variable(name):
    text = (ASSETS / f"{name}.svg").read_text(encoding="utf-8")
    assert not any(colour in text for colour in svg.LIGHT)
    light, dark = re.search(r"svg {(.*?)} @media .*dark\) { svg {(.*?)} }", text).groups()
    used = set(re.findall(r"var\((--c\d)\)", text))
    assert used <= set(re.findall(r"(--c\d):", light)) == set(re.findall(r"(--c\d):", dark))
    assert light != dark

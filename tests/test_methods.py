"""Every rule has a page with its arguments."""

import inspect
import pathlib
import re

import pytest

from keras_zsharp import perturbations

pytestmark = pytest.mark.project
DOCS = pathlib.Path(__file__).parents[1] / "docs"
PAGES = {page.name: page.read_text(encoding="utf-8") for page in DOCS.glob("methods/*.md")}
RULES = sorted(rule.__name__ for rule in perturbations.RULES.values())


@pytest.mark.parametrize("name", RULES)
def test_rule_has_a_page_with_its_defaults(name):
    [page] = re.findall(
        rf"\[`{name}\(.*?\)`\]\(docs/methods/(\w+\.md)\)", (DOCS.parent / "README.md").read_text()
    )
    [arguments] = re.findall(rf"`keras_zsharp\.{name}\((.*?)\)`", PAGES[page])
    parameters = inspect.signature(getattr(perturbations, name)).parameters
    for argument, default in eval(f"dict({arguments})").items():
        assert parameters[argument].default == default
    for section in ("When", "Hyperparameters", "Cost", "Where this differs", "Source"):
        assert f"\n## {section}" in PAGES[page]

"""What the methods' pages say of costs and results is so."""

import re

import keras
import numpy as np
import pytest

from keras_zsharp.rules import RULES
from tests.markdown import anchor, section, tables
from tests.test_methods import FOLDER, PAGES

pytestmark = pytest.mark.project


@pytest.mark.parametrize("page", RULES)
def test_memory(page):
    rule = RULES[page]()
    rule.build([keras.Variable(np.zeros((2, 3)))])
    copies = [variable for variable in rule.variables if variable.shape == (2, 3)]
    cost = " ".join(section(PAGES[page], "Cost").split())
    assert len(copies) == ("one more copy of the trainable weights" in cost)
    assert bool(copies) != ("No memory" in cost)


def test_overview():
    rows = next(tables(section(PAGES["index"], "Overview")))
    found = {row["rule"]: (row["starting `rho`"], row["passes a step"]) for row in rows}
    passes = {"look_sam": "1 + 1/`every`", "msam": "1"}
    assert found == {
        f"[`{cls.__name__}`]({page}.md)": (f"`{cls().rho}`", passes.get(page, "2"))
        for page, cls in RULES.items()
    }


COMPARISONS = re.findall(
    r"^### (.*)\n[^#]*?((?:^\|.*\n)+)\n\[The report\]\((.*?)#(.*?)\)", PAGES["index"], re.M
)


def test_each_comparison_names_its_report():
    titles = re.findall(r"^### (.*)", section(PAGES["index"], "Comparison"), re.M)
    assert [title for title, *_ in COMPARISONS] == [t for t in titles if t != "More comparisons"]


@pytest.mark.parametrize(("title", "lines", "report", "linked"), COMPARISONS)
def test_comparison_has_the_figures_of_its_report(title, lines, report, linked):
    """Columns may be left out, rows and figures may not."""
    text = (FOLDER / report).read_text(encoding="utf-8")
    [heading] = [title for title in re.findall(r"^## (.*)", text, re.M) if anchor(title) == linked]
    [here], there = tables(lines), next(tables(section(text, heading)))
    assert here == [{column: row[column] for column in here[0]} for row in there]


@pytest.mark.parametrize("page", PAGES)
def test_figures_are_those_of_the_reports_beside_them(page):
    """In a paragraph or list that links to results, each decimal fraction stands in one of them."""
    for passage in re.split(r"\n\n(?![-\d])", PAGES[page]):
        reports = re.findall(r"\((\.\./results/[\w/-]+\.md)", passage)
        known = "".join((FOLDER / report).read_text(encoding="utf-8") for report in reports)
        figures = set(re.findall(r"\d+\.\d+", re.sub(r"`[^`]*`", "", passage)))
        assert not reports or figures <= set(re.findall(r"\d+\.\d+", known)), reports

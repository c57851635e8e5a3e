"""What the methods' pages say of costs and results is so."""

import re

import keras
import numpy as np
import pytest

from keras_zsharp.rules import RULES
from tests.markdown import anchor, section, tables
from tests.test_methods import FOLDER, PAGES

pytestmark = pytest.mark.project


def test_memory():
    for page, made in RULES.items():
        rule = made()
        rule.build([keras.Variable(np.zeros((2, 3)))])
        copies = [variable for variable in rule.variables if variable.shape == (2, 3)]
        cost = " ".join(section(PAGES[page], "Cost").split())
        assert len(copies) == ("one more copy of the trainable weights" in cost), page
        assert bool(copies) != ("No memory" in cost), page


COMPARISONS = re.findall(
    r"^### (.*)\n[^#]*?((?:^\|.*\n)+)\n\[The report\]\((.*?)#(.*?)\)", PAGES["index"], re.M
)


def test_each_comparison_names_its_report():
    titles = re.findall(r"^### (.*)", section(PAGES["index"], "Comparison"), re.M)
    assert [title for title, *_ in COMPARISONS] == [t for t in titles if t != "More comparisons"]


def test_comparisons_have_the_figures_of_their_reports():
    """Columns may be left out, rows and figures may not."""
    for _, lines, report, linked in COMPARISONS:
        text = (FOLDER / report).read_text(encoding="utf-8")
        [heading] = [head for head in re.findall(r"^## (.*)", text, re.M) if anchor(head) == linked]
        [here], there = tables(lines), next(tables(section(text, heading)))
        assert here == [{column: row[column] for column in here[0]} for row in there], report


def test_figures_are_those_of_the_reports_beside_them():
    """In a paragraph or list that links to results, each decimal fraction stands in one of them."""
    passages = (each for page in PAGES.values() for each in re.split(r"\n\n(?![-\d])", page))
    for passage in passages:
        reports = re.findall(r"\((\.\./results/[\w/-]+\.md)", passage)
        known = "".join((FOLDER / report).read_text(encoding="utf-8") for report in reports)
        figures = set(re.findall(r"\d+\.\d+", re.sub(r"`[^`]*`", "", passage)))
        assert not reports or figures <= set(re.findall(r"\d+\.\d+", known)), reports

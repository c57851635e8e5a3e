"""The reports are what their comparisons make."""

import pathlib
import re
import sys

import pytest

from examples.study import radii, report
from keras_zsharp.comparing import compare
from tests.comparing import problem

RESULTS = pathlib.Path(__file__).parents[2] / "docs" / "results"
ABOUT = """{"title": "Waves", "conclusion": "It helps.", "how": "Seeds choose.", "timed": true,
"study": "examples/study/report.py", "settings": {"a-b": "A, b"}, "pairs": [["SAM", "SGD"]],
"measures": ["test_loss"]}"""


@pytest.mark.project
@pytest.mark.parametrize(
    "path", sorted(RESULTS.glob("*/report.json")), ids=lambda path: path.parent.name
)
def test_a_report_is_what_its_comparisons_make(path):
    text = (path.parent / "report.md").read_text(encoding="utf-8")
    assert report.markdown(path.parent) == text
    pictures = {each.name for each in (path.parent / "pictures").iterdir()}
    assert set(re.findall(r"\(pictures/(.*?)\)", text)) == pictures


@pytest.mark.project
def test_the_guide_has_the_radii_of_the_reports():
    guide = RESULTS.parent / "guides" / "choosing.md"
    text = guide.read_text(encoding="utf-8")
    assert radii.table() in text
    assert radii.starting_table() in text


def test_a_report_on_a_comparison(tmp_path, monkeypatch, capsys):
    methods = {"SGD": None, "SAM": "sam"}
    options = {"metric": "test_accuracy", "choose_by": "val_accuracy", "progress": False}
    compare(problem.FIT, methods, range(2), **options).save(tmp_path / "a-b")
    (tmp_path / "report.json").write_text(ABOUT)
    monkeypatch.setattr(sys, "argv", ["report", str(tmp_path)])
    report.main()
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert text.startswith(
        "# Waves\n\nIt helps.\n\nSeeds choose. The study: [examples/study/report"
    )
    assert "| method | test accuracy | best | over SGD |" in text
    assert re.search(r"^\| SAM, over SGD \| [+-]\d", text, re.MULTILINE)
    assert re.search(r"^- 4 runs: `.*`, at ", text, re.MULTILINE)
    names = [path.name for path in sorted((tmp_path / "pictures").iterdir())]
    assert names == ["a-b-by-epoch.svg", "a-b-by-seconds.svg", "a-b-differences.svg"]

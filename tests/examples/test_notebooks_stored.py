"""The notebooks as they are stored: badge, outputs, what they install, what they ask for."""

import re

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from packaging.requirements import Requirement
from traitlets.config import Config

from tests.examples.notebooks import (
    METHODS,
    NOTEBOOKS,
    PICTURES,
    ROOT,
    code_cells,
    outputs,
    read,
    tags,
)

pytestmark = pytest.mark.project
EACH = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
NEEDS_A_GPU = {"colab_cifar10"}
"""Whose outputs are not stored."""
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
[HOMEPAGE] = re.findall(r'^Homepage = "(.*)"$', PROJECT, re.MULTILINE)


@EACH
def test_is_committed_as_written(path):
    book = read(path)
    nbformat.validate(book)
    assert (book.nbformat, book.nbformat_minor) == (4, 5)
    code = code_cells(book)
    assert all(re.fullmatch("[a-z-]+", cell.id) for cell in book.cells)
    for cell in book.cells:
        assert not re.search(r"""["'\s=(`](/|~/|[A-Z]:\\)\w""", cell.source), "an absolute path"
    for tag in ("install", "parameters"):
        assert len([cell for cell in code if tag in tags(cell)]) == 1
    # Editors write them so; other forms would make every saving a large change.
    assert path.read_text(encoding="utf-8") == nbformat.writes(book) + "\n"


@EACH
def test_begins_with_its_badge(path):
    badge, title = read(path).cells[:2]
    [(picture, address)] = re.findall(r"^\[!\[Open in Colab\]\((.*)\)\]\((.*)\)$", badge.source)
    assert picture == "https://colab.research.google.com/assets/colab-badge.svg"
    colab = HOMEPAGE.replace("https://github.com", "https://colab.research.google.com/github")
    assert address == f"{colab}/blob/main/examples/{path.name}"
    assert title.source.startswith("# ")


@EACH
def test_outputs_are_those_of_one_run_from_top_to_bottom(path):
    book = read(path)
    code = code_cells(book)
    if path.stem in NEEDS_A_GPU:
        assert "No outputs are stored here" in book.cells[1].source
        assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
        return
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    printed = [output for cell in code for output in cell.outputs]
    assert {output.output_type for output in printed} == {"stream", "display_data"}
    assert "stderr" not in {output.get("name") for output in printed}, "warnings"
    [table] = outputs(book, "text/markdown").values()
    assert re.findall(r"^\| (\w+) \|", table, re.MULTILINE)[1:] == METHODS
    assert list(outputs(book, "image/png")) == PICTURES[path.stem]


@EACH
def test_asks_for_nothing_and_has_sam_before_zsharp(path):
    source = "\n".join(cell.source for cell in read(path).cells)
    assert not re.search(r"\binput\(|getpass|google\.colab|drive\.mount", source)
    assert source.index("SAM") < source.index("ZSharp")
    code = source[source.index("METHODS = ") :]
    assert code.index("keras_zsharp.SAM(") < code.index("keras_zsharp.ZSharp(")


@EACH
def test_installs_from_an_upload_or_the_repository(path, tmp_path, monkeypatch):
    """And nothing where the library is; where it cannot, it says what to do."""
    [source] = [cell.source for cell in read(path).cells if "install" in tags(cell)]
    commands = []
    shell = InteractiveShell(
        ipython_dir=str(tmp_path), config=Config(HistoryManager={"enabled": False})
    )
    shell.register_magic_function(commands.append, magic_name="pip")
    assert shell.run_cell(source).success
    assert not commands

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    uploaded = tmp_path / "keras_zsharp-1.0-py3-none-any.whl"
    for address in (f"{HOMEPAGE}/archive/refs/heads/main.zip", uploaded.as_uri()):
        error = shell.run_cell(source).error_in_exec
        assert isinstance(error, ImportError)
        assert address in str(error)
        assert "upload its wheel" in str(error)
        [requirement] = re.findall('-q "(keras-zsharp.*?)"', "\n".join(commands))
        assert Requirement(requirement).url == address
        extras = set(re.findall(r"^(\w+) = \[", PROJECT, re.MULTILINE))
        assert Requirement(requirement).extras <= extras
        commands.clear()
        uploaded.touch()


def test_all_notebooks_are_known():
    assert [path.stem for path in NOTEBOOKS] == sorted(PICTURES)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"(examples/{path.name})" in readme for path in NOTEBOOKS)

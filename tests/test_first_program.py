"""The README's first program: CI runs it and its install lines as they stand; its figures hold."""

import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from benchmarks import first_program
from tests import markdown
from tests.test_package import MISSING

pytestmark = pytest.mark.project
ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAM = markdown.programs(README)[0]
BACKENDS = ("tensorflow", "jax", "torch")

RECORDS = """#!/usr/bin/env bash
mkdir -p .venv/bin && touch .venv/bin/activate
(basename "$0"; printf '%s\\n' "$@") >> "$(basename "$0").txt"
[ -f "$1" ] && { cp "$1" ran.txt; printf '%s' "$KERAS_BACKEND" > backend.txt; }
exit 0
"""


def install_line(backend):
    [line] = re.findall(rf"^\|.*\| `(pip install .*\[{backend}\].*)` \|$", README, re.MULTILINE)
    return line


@pytest.mark.parametrize("backend", BACKENDS)
def test_ci_runs_what_the_readme_says(backend, tmp_path):
    """With commands that record how they are called. The wheel stands for the clone."""
    for name in ("python3", "pip", "python"):
        (tmp_path / name).write_text(RECORDS)
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [ROOT / ".ci" / "first", backend, "/dist/a.whl"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)

    pip, export = install_line(backend).split(" && ")
    arguments = shlex.split(pip.replace(f'-e ".[{backend}]"', f"/dist/a.whl[{backend}]"))
    assert (tmp_path / "pip.txt").read_text().splitlines() == arguments
    assert (tmp_path / "python3.txt").read_text().splitlines() == ["python3", "-m", "venv", ".venv"]
    assert (tmp_path / "ran.txt").read_text() == PROGRAM
    assert export == f"export KERAS_BACKEND={(tmp_path / 'backend.txt').read_text()}"
    assert export.endswith(f"={backend}")


def test_ci_runs_it_on_every_backend():
    script = (ROOT / ".ci" / "wheel").read_text(encoding="utf-8")
    assert tuple(re.findall(r"^time first (\w+)", script, re.MULTILINE)) == BACKENDS
    assert '"$root/.ci/first" "$backend" "$wheel"' in script


def test_the_diff_is_part_of_the_program():
    [diff] = first_program.blocks("diff")
    lines = diff.splitlines(keepends=True)
    assert [line[0] for line in lines].count("+") == 1
    assert "".join(line[2:] for line in lines) in PROGRAM
    with_the_line, without = PROGRAM.splitlines(), first_program.programs()["without the line"]
    [line] = set(with_the_line) - set(without.splitlines())
    assert "SharpnessAwareModel" in line


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_names_a_backend_that_is_missing(backend):
    command = [sys.executable, "-c", MISSING.format(backend=backend) + PROGRAM]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert f'which is not installed: pip install "keras-zsharp[{backend}]"' in done.stderr


def test_figures():
    """TensorFlow's last epoch and best epoch, without the line and with it; the others' last."""
    page = (ROOT / "docs" / "results" / "first-program.md").read_text(encoding="utf-8")
    assert page.startswith(first_program.HEAD)
    [rows] = markdown.tables(page)
    programs = [(backend, name) for backend in BACKENDS for name in first_program.programs()]
    assert [(row["backend"], row["program"]) for row in rows] == programs
    last, best = ([row[f"{name} epoch (%)"][:4] for row in rows] for name in ("last", "best"))
    [paragraph] = [part for part in README.split("\n\n") if "first-program.md" in part]
    expected = [last[0], best[0], last[1], best[1], last[3], last[5]]
    assert re.findall(r"\d\d\.\d(?= %)", paragraph) == expected

"""The programs of examples/ and benchmarks/ answer `--help` before their slow imports."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
HELP = """
import contextlib, io, runpy, sys

for program in sys.argv[1:]:
    sys.argv, printed = [program, "--help"], io.StringIO()
    run = runpy.run_path if program.endswith(".py") else runpy.run_module
    try:
        with contextlib.redirect_stdout(printed):
            run(program, run_name="__main__")
    except SystemExit as end:
        assert not end.code, program
    assert printed.getvalue().startswith("usage: "), program
    loaded = {"keras", "tensorflow", "jax", "torch", "numpy", "pandas"} & sys.modules.keys()
    assert not loaded, (program, loaded)
    print(program)
"""


def programs(*patterns):
    for path in sorted(path for pattern in patterns for path in ROOT.glob(pattern)):
        if '__name__ == "__main__"' in path.read_text(encoding="utf-8"):
            yield path


FILES = list(programs("examples/*.py", "benchmarks/*.py"))
STUDIES = [f"examples.study.{path.stem}" for path in programs("examples/study/*.py")]
"""Modules, which share code."""


def test_help_imports_no_backend():
    asked = [*map(str, FILES), *STUDIES]
    command = [sys.executable, "-c", HELP, *asked]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == asked
    assert len(asked) > 25


def test_examples_silence_tensorflow_before_they_import_keras():
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        if "\nimport keras" in text:
            assert '"TF_CPP_MIN_LOG_LEVEL"' in text.partition("\nimport keras")[0], path


@pytest.mark.parametrize("path", list(programs("examples/*.py")), ids=lambda path: path.stem)
def test_an_example_first_says_what_it_does_and_how_long_it_takes(path):
    main = path.read_text(encoding="utf-8").partition("\ndef main(")[2]
    first = re.search(r"print\(\s*\"(.*?)\"", main)[1]
    assert re.match(r"(Trains|Fine-tunes) .*: .*\b(seconds|minutes?|hours?)\b.*\.$", first), first

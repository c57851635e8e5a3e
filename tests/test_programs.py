"""The programs of examples/ and benchmarks/ answer `--help` before their slow imports."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
HELP = """
import contextlib, io, runpy, sys

for program in sys.argv[1:]:
    sys.argv, printed = [program, "--help"], io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            runpy.run_path(program, run_name="__main__")
    except SystemExit as end:
        assert not end.code, program
    assert printed.getvalue().startswith("usage: "), program
    loaded = {"keras", "tensorflow", "jax", "torch", "numpy", "pandas"} & sys.modules.keys()
    assert not loaded, (program, loaded)
    print(program)
"""


def programs():
    for path in sorted([*ROOT.glob("examples/*.py"), *ROOT.glob("benchmarks/*.py")]):
        text = path.read_text(encoding="utf-8")
        if '__name__ == "__main__"' in text:
            yield str(path)


def test_help_imports_no_backend():
    asked = list(programs())
    command = [sys.executable, "-c", HELP, *asked]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == asked
    assert len(asked) > 15


def test_examples_silence_tensorflow_before_they_import_keras():
    for path in programs():
        text = pathlib.Path(path).read_text(encoding="utf-8")
        if "\nimport keras" in text:
            assert '"TF_CPP_MIN_LOG_LEVEL"' in text.partition("\nimport keras")[0], path

"""Puts each fault into a copy of the library and runs the test that is to notice it.

    python -m tests.faults [WORD ...] [--suite]

Prints a table. With WORDs, only of the faults whose description has one of them. `--suite` runs the
default tier until a test fails, rather than the one test: for a new fault, or a changed suite.
"""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from tests.faults.table import FAULTS

ROOT = pathlib.Path(__file__).parents[2]
COPIED = ("keras_zsharp", "models", "tests", "examples", "pyproject.toml")


def faulty_copy(fault, folder):
    """Copies the library and its tests into `folder`, and puts the fault in."""
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    if not (folder / "keras_zsharp" / "models").exists():
        (folder / "keras_zsharp" / "models").symlink_to(folder / "models")
    file = folder / fault.file
    text = file.read_text(encoding="utf-8")
    if text.count(fault.old) != 1:
        raise LookupError(
            f"`old` must stand in {fault.file} once. Received: old={fault.old!r}, which stands "
            f"there {text.count(fault.old)} times"
        )
    file.write_text(text.replace(fault.old, fault.new), encoding="utf-8")


def run(fault, *arguments):
    """pytest's exit code and output over a copy with the fault."""
    with tempfile.TemporaryDirectory() as folder:
        faulty_copy(fault, pathlib.Path(folder))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*command, *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
    return done.returncode, done.stdout + done.stderr


def named_test(fault):
    """The fault's test if it fails, None if it passes."""
    code, output = run(fault, "-n", "0", fault.test)
    if code not in (0, 1):
        raise RuntimeError(f"pytest could not run {fault.test}, for {fault.what!r}:\n{output}")
    return fault.test if code else None


def first_to_fail(fault):
    """The first test of the default tier that fails, None where all pass."""
    _, output = run(fault)
    failed = [line.split()[1] for line in output.splitlines() if line.startswith("FAILED ")]
    return failed[0] if failed else None


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORD", help="of the faults to put in")
    parser.add_argument("--suite", action="store_true", help="run the whole default tier")
    options = parser.parse_args(arguments)
    faults = [f for f in FAULTS if any(word in f.what for word in options.words or [""])]
    by, at_once = (first_to_fail, 1) if options.suite else (named_test, os.cpu_count())
    print("| fault | noticed by |\n| --- | --- |")
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for fault, test in zip(faults, pool.map(by, faults), strict=True):
            print(f"| {fault.what} | {f'`{test}`' if test else '**nothing**'} |", flush=True)


if __name__ == "__main__":
    main()

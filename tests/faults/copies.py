"""Runs pytest over a copy of the library with a fault in it."""

import multiprocessing
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

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
    """pytest's exit code and output over a copy with the fault.

    The process is forked from one that has imported Keras, which takes longer than most tests.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["keras", "tensorflow_datasets", "pytest"])
    with tempfile.TemporaryDirectory() as folder:
        faulty_copy(fault, pathlib.Path(folder))
        output = pathlib.Path(folder) / "output.txt"
        command = ["-x", "-q", "-p", "no:cacheprovider", *arguments]
        process = context.Process(target=pytest_in, args=(folder, output, command))
        process.start()
        process.join()
        return process.exitcode, output.read_text(encoding="utf-8")


def pytest_in(folder, output, arguments):
    """Runs pytest in this process, on the library in `folder`, and ends the process."""
    file = os.open(output, os.O_WRONLY | os.O_CREAT)
    os.dup2(file, sys.stdout.fileno())
    os.dup2(file, sys.stderr.fileno())
    os.chdir(folder)
    sys.path[:] = [folder, *(path for path in sys.path if pathlib.Path(path or ".") != ROOT)]
    for name in [name for name in sys.modules if name.partition(".")[0] in COPIED]:
        del sys.modules[name]
    os._exit(pytest.main(arguments))

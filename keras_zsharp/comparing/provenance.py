"""Where a result is from: what it takes to get it again, or to see why it differs."""

from __future__ import annotations

import datetime
import functools
import os
import pathlib
import platform
import subprocess
import sys

import keras
import numpy as np

from keras_zsharp import backend


def now() -> dict[str, str]:
    """Of a run that this process does."""
    return {
        "keras": keras.version(),
        "backend": f"{backend.NAME} {sys.modules[backend.NAME].__version__}",
        "keras-zsharp": sys.modules["keras_zsharp"].__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "commit": commit(),
        "hardware": f"{_processor()}, {os.cpu_count()} cores",
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "command": " ".join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


@functools.cache
def commit() -> str:
    """The commit of the program that runs, and whether there are changes. Empty without git."""
    found, changes = _git("rev-parse", "--short=12", "HEAD"), _git("status", "--porcelain")
    return f"{found} with changes" if found and changes else found


def _git(*arguments):
    folder = pathlib.Path(sys.argv[0]).resolve().parent
    try:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _processor():
    """The model's name where the system tells it, else its architecture."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())

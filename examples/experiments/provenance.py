"""Where a result is from: what it takes to get it again, or to see why it differs."""

import datetime
import functools
import os
import pathlib
import platform
import subprocess
import sys

import keras
import numpy as np

import keras_zsharp


def versions():
    """What a run that goes on, and runs that are compared, must have in common."""
    backend = keras.backend.backend()
    return {
        "keras": keras.version(),
        backend: sys.modules[backend].__version__,
        "keras-zsharp": keras_zsharp.__version__,
        "commit": source()["commit"],
    }


def now(command=None):
    """Of a run that this process does, by default for its own command; None for the unknown."""
    backend = keras.backend.backend()
    return {
        **source(),
        "backend": f"{backend} {sys.modules[backend].__version__}",
        "numpy": np.__version__,
        "hardware": f"{_processor()}, {os.cpu_count()} cores",
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "command": command or this_command(),
    }


def this_command():
    return " ".join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]])


@functools.cache
def source():
    """The commit of this source, and whether it is without changes, as the process began."""
    changes = _git("status", "--porcelain")
    return {"commit": _git("rev-parse", "HEAD"), "clean": None if changes is None else not changes}


def _git(*arguments):
    """What git says of this source; None without git, or where the source is in no repository."""
    command = ["git", "-C", str(pathlib.Path(__file__).parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor():
    """The model's name where the system tells it, else its architecture."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())

"""The files of a run: each is whole or not there, and one that is damaged is named."""

import contextlib
import functools
import json
import os
import re
import sys

import filelock


class Occupied(Exception):
    """Another process has the lock of a folder."""


class Damaged(Exception):
    """A file of a run does not say what it should: the run counts as not done."""

    def __init__(self, path, why):
        super().__init__(f"{path} is damaged ({why}): its run counts as not done")


@functools.cache
def say(text):
    """Prints a line on stderr, the same one once."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def locked(folder, wait=False):
    """Makes the folder, and holds its lock: one process at a time is in the block.

    The lock is the operating system's (`flock`): it is free again as soon as its process has ended,
    however it ended, and stays held while that process is merely slow or suspended. Between
    machines it needs a shared folder that passes `flock` on: NFS and CIFS under Linux do, Lustre
    when it is mounted with `-o flock`.

    Raises:
        Occupied: Another process holds it, and `wait` is False.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    with contextlib.suppress(OSError):
        path.rmdir()  # An empty folder of that name; this fails for all else.
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except filelock.Timeout as error:
        raise Occupied(folder) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def whole(path):
    """Gives another path to write to; what is there at the end of the block comes to be `path`.

    Raises:
        OSError: It cannot be written; `filename` says what. Nothing is left behind.
    """
    partial = path.with_name(f"partial-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        other = error.filename and str(error.filename) != str(partial)
        raise OSError(error.errno, reason(error), str(error.filename if other else path)) from error


def write(path, content):
    """Writes JSON."""
    with whole(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read(path, *names):
    """Reads JSON: an object that has `names`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Damaged(path, reason(error)) from error
    missing = [name for name in names if not isinstance(content, dict) or name not in content]
    if missing:
        raise Damaged(path, f"it has no {missing[0]!r}")
    return content


def sentence(error):
    """What an `OSError` says, in one sentence with the name of the file."""
    path = error.filename or _written_by_h5py(error)
    return f"{path}: {reason(error)}" if path else reason(error)


def reason(error):
    """Why a file could not be read or written, without its name."""
    found = re.search("error message = '(.+?)'", str(error))
    return (found and found[1]) or getattr(error, "strerror", None) or str(error).splitlines()[0]


def remove_half_written(error):
    """Removes the file that h5py could not write whole, if that is the error.

    The file is still open. Emptied, it leaves room for the rest that h5py writes when it closes it,
    which would fail once more, beyond the reach of any `except`.
    """
    if path := _written_by_h5py(error):
        with contextlib.suppress(OSError):
            os.truncate(path, 0)
            os.unlink(path)


def _written_by_h5py(error):
    found = re.search("file write failed.*?filename = '(.+?)'", str(error), re.DOTALL)
    return found and found[1]

"""Files that are whole or not there, and folders that one process at a time works in."""

import contextlib
import functools
import json
import os
import sys

import filelock


class Occupied(ValueError):
    """Another process works in a folder."""

    def __init__(self, folder):
        super().__init__(f"Another process works in {folder}: give another --output")


class Damaged(Exception):
    """A file of a run cannot be read: the run counts as not done."""

    def __init__(self, path, error):
        why = " ".join(f"{type(error).__name__}: {error}".split())
        super().__init__(f"{path} is damaged ({why}): its run counts as not done")


@functools.cache
def say(text):
    """Prints a line on stderr, the same one once."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def locked(folder, wait=False):
    """Makes the folder, and lets one process at a time into the block; or raises `Occupied`.

    The lock is the operating system's (`flock`). It is free as soon as its process has ended, in
    whatever way. Between machines it needs a shared folder that passes `flock` on: NFS and CIFS
    under Linux do, and Lustre that is mounted with `-o flock`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / "lock")
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
    """Gives a path to write to; at the end of the block what is there becomes `path`.

    An `OSError` names `path`, and leaves nothing behind.
    """
    partial = path.with_name(f"partial-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


@contextlib.contextmanager
def reading(path):
    """Whatever goes wrong in its block shows that the file is `Damaged`."""
    try:
        yield
    except Exception as error:
        raise Damaged(path, error) from error


def write(path, content):
    """Writes JSON."""
    with whole(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

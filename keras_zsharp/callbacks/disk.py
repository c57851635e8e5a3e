"""What a file needs of its disk: place, and the certainty that it has arrived."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import re
import shutil

from keras_zsharp.typing import Path

_locked: dict[pathlib.Path, int] = {}
"""The descriptors of the folders that this process has locked, by their paths."""


def number(error: Exception) -> int | None:
    """The system's number of an error, or None. HDF5 has it in words, and in a RuntimeError."""
    words = re.search(r"errno = (\d+)", str(error))
    if isinstance(error, OSError):
        return error.errno or (int(words[1]) if words else errno.EIO)
    return int(words[1]) if isinstance(error, RuntimeError) and words else None


def explained(error: Exception, message: str, path: Path) -> OSError:
    """An error of the same number that says what it means here.

    Args:
        error: The error, which has a number.
        message: What it means.
        path: The path of the file or folder.
    """
    known = number(error) or errno.EIO
    return OSError(known, f"{message} ({os.strerror(known)})", str(path))


def lock(folder: pathlib.Path) -> None:
    """Takes a folder for this process, until `unlock` or its end. A process may take one again.

    Args:
        folder: The path of the folder.

    Raises:
        BlockingIOError: Another process has it. Where the system locks no folders, none is found.
    """
    unlock(folder)
    with contextlib.suppress(ImportError, PermissionError):  # Windows.
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise
            return
        _locked[folder] = descriptor


def unlock(folder: pathlib.Path) -> None:
    """Gives the folder of `lock` back.

    Args:
        folder: The path of the folder.
    """
    if folder in _locked:
        os.close(_locked.pop(folder))


def _forget_all():
    """In a child, which would hold the folder of a parent that was killed."""
    for folder in [*_locked]:
        unlock(folder)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def reserve(path: pathlib.Path, size: int) -> None:
    """Asks for the place first: HDF5 may end the process where there is none.

    Args:
        path: The path of the file.
        size: The number of bytes.

    Raises:
        OSError: There is less.
    """
    with open(path, "wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
            return
        except AttributeError:  # macOS, Windows.
            pass
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
    if shutil.disk_usage(path.parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def flush(path: Path) -> None:
    """Waits until what was written has reached the disk: a rename may reach it first."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(path: Path) -> None:
    """The same of a name in a folder, where the system can: Windows opens no folder."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def empty(path: Path) -> None:
    """Frees the disk. h5py writes the rest when it closes the file, where no `except` can help."""
    for free in (lambda: os.truncate(path, 0), lambda: os.unlink(path)):
        with contextlib.suppress(OSError):
            free()

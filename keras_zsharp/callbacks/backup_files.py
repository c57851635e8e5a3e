"""The files of a backup: each appears at once and whole, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import re
from collections.abc import Callable
from typing import Any

from keras_zsharp.callbacks import disk

SUFFIX = ".weights.h5"
NAME = re.compile(
    r"(?P<epochs>\d{5,})-([0-9a-f]{8}-)?(?P<content>[0-9a-f]{64})" + re.escape(SUFFIX)
)
KEPT = 2


class BackupFiles:
    """The backups in a folder. Whatever else is there stays.

    Args:
        folder: Path of the folder. A process that changes its directory still means this one.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = pathlib.Path(os.path.abspath(folder))
        self._partial = self.folder / f"keras_zsharp-partial{SUFFIX}"
        self._kept: list[pathlib.Path] = []

    def prepare(self) -> None:
        """Makes the folder. Finds out before training, not after an epoch, if it cannot be used."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            disk.lock(self.folder)
            self._partial.write_bytes(b"0")
            self._partial.unlink()
        except BlockingIOError as error:
            message = (
                "`backup_dir` must be of one run at a time, and another process trains with it. "
                "Take another folder, or end that process"
            )
            raise disk.explained(error, message, self.folder) from error
        except OSError as error:
            raise disk.explained(
                error, "`backup_dir` must be a folder that can be written", self.folder
            ) from error

    def write(self, epochs: int, size: int, save: Callable[[pathlib.Path], Any]) -> None:
        """Writes a backup, and then removes all but the last two.

        Args:
            epochs: The number of epochs.
            size: The number of bytes that the file may have.
            save: Function that writes a file of a path.

        Raises:
            OSError: The disk is full, or the file cannot be written. The backups before are there.
        """
        partial = self._partial
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            disk.reserve(partial, size)
            save(partial)
            disk.flush(partial)
            path = self.folder / f"{epochs:05d}-{_content(partial)}{SUFFIX}"
            os.replace(partial, path)
        except Exception as error:
            disk.empty(partial)
            if disk.number(error) is None:
                raise
            message = "The backup cannot be written; the one before is still there"
            raise disk.explained(error, message, partial) from error
        disk.flush_folder(self.folder)
        self._kept = [*(p for p in self._kept if p != path), path][-KEPT:]
        for other in self._paths():
            if other not in self._kept:
                os.unlink(other)

    def newest(self, epochs_of: Callable[[pathlib.Path], int | None]) -> Any:
        """The newest backup that is whole, or None, and those after it, which are damaged.

        Args:
            epochs_of: Function from a path to the number of epochs that a file holds. None is of a
                file of an earlier version, which does not hold it.
        """
        damaged: list[pathlib.Path] = []
        for path in reversed(self._paths()):
            if _content(path) == _named(path, "content"):
                held = epochs_of(path)
                if held is None or held == int(_named(path, "epochs")):
                    self._kept = [path]
                    return path, damaged
            damaged.insert(0, path)
        return None, damaged

    def release(self) -> None:
        """Gives the folder back to others, which `prepare` has taken for this process."""
        disk.unlock(self.folder)

    def remove(self) -> None:
        """Removes the backups, and the folder if nothing else is in it and it is no link."""
        for path in self._paths():
            os.unlink(path)
        with contextlib.suppress(OSError):
            self._partial.unlink(missing_ok=True)
            self.folder.rmdir()

    def _paths(self):
        """The paths of the backups, the oldest first."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise disk.explained(
                error, "`backup_dir` must be a folder that can be read", self.folder
            ) from error
        paths = [self.folder / name for name in names if NAME.fullmatch(name)]
        return sorted(paths, key=lambda path: (int(_named(path, "epochs")), path.name))


def _named(path, group):
    """What the name of a backup says."""
    match: Any = NAME.fullmatch(path.name)
    return match[group]


def _content(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()

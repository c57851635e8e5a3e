from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import pathlib
import re
import warnings
from typing import Any

import keras

from keras_zsharp import checks, keras_internals
from keras_zsharp.typing import Logs, Path

SUFFIX = ".weights.h5"
NAME = re.compile(
    r"(?P<epochs>\d{5,})-(?P<model>[0-9a-f]{8})-(?P<content>[0-9a-f]{64})" + re.escape(SUFFIX)
)
KEPT = 2


class DamagedBackup(ValueError):
    """All backups that a run has left are damaged."""


class Backup(keras.callbacks.Callback):
    """Saves the state after every epoch. After a kill, the same `fit` continues from there.

    It does what `keras.callbacks.BackupAndRestore` does, and is safe if a run is killed while it
    saves, or if a file is damaged. A backup is one file, which appears at once and whole. Its name
    has the number of epochs, a hash of the kind of model, and a SHA-256 of its content. The last
    two backups are kept. Pass the callback to `fit`, and start the same program again after a kill:

        model.fit(x, y, epochs=20, callbacks=[keras_zsharp.callbacks.Backup("backup")])

    A backup has what `model.save_weights` saves: weights, optimizer and, for a sharpness-aware
    model, the rule's state with rho, and the state of dropout's seeds. So the run ends with the
    same bits as one that was not killed. Plain Keras models do not save dropout's seeds.

    With several workers, the first one writes into a folder that all of them can read.

    Args:
        backup_dir: str or path of the folder. It belongs to one run, and holds nothing else.
        delete_checkpoint: bool, whether a `fit` that has ended removes the backups. With `False`,
            the same `fit` again does nothing.

    Raises:
        TypeError: An argument is of another type.
        ValueError: When training begins, the backups are of another model, or all damaged (a
            `DamagedBackup`). Nothing has been loaded then.
        OSError: A backup cannot be written, for example on a full disk. The backup before is still
            there.
    """

    model: Any

    def __init__(self, backup_dir: Path, delete_checkpoint: bool = True) -> None:
        super().__init__()
        self.folder = pathlib.Path(checks.path("backup_dir", backup_dir))
        self._partial = self.folder / f"partial{SUFFIX}"
        self.delete_checkpoint = checks.flag("delete_checkpoint", delete_checkpoint)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        keras_internals.start_at_epoch(self.model, self._restored())

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if not _writes(self.model):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self._partial
        try:
            self.model.save_weights(partial, overwrite=True)
            name = f"{epoch + 1:05d}-{_kind(self.model)}-{_content(partial)}{SUFFIX}"
            _flush(partial)
            os.replace(partial, self.folder / name)
        except OSError as error:
            _empty(partial)
            why = os.strerror(error.errno) if error.errno else error
            raise OSError(
                error.errno or errno.EIO,
                f"The backup cannot be written; the one before is still there ({why})",
                str(partial),
            ) from error
        _flush(self.folder)
        for path in self._backups()[:-KEPT]:
            os.unlink(path)

    def on_train_end(self, logs: Logs | None = None) -> None:
        keras_internals.start_at_epoch(self.model, None)
        if self.delete_checkpoint and _writes(self.model):
            for path in self._backups():
                os.unlink(path)
            with contextlib.suppress(OSError):  # The folder may hold something else.
                self._partial.unlink(missing_ok=True)
                self.folder.rmdir()

    def _restored(self):
        """Loads the newest whole backup, and returns its number of epochs, or None without any."""
        backups = self._backups()
        whole = [path for path in backups[-KEPT:] if _content(path) == _named(path, "content")]
        damaged = [str(path) for path in backups[-KEPT:] if path not in whole]
        if backups and not whole:
            raise DamagedBackup(
                f"`backup_dir` must have a backup that is whole. Received: {damaged}, all damaged. "
                "Delete them to start anew"
            )
        if not whole:
            return None
        newest = whole[-1]
        self._check_kind(newest)
        if damaged and backups[-1] is not newest:
            warnings.warn(
                f"{damaged[-1]} is damaged: training continues from {newest}", stacklevel=2
            )
        self.model.load_weights(newest)
        return int(_named(newest, "epochs"))

    def _check_kind(self, path):
        keras_internals.build_optimizer(self.model)
        if _named(path, "model") != _kind(self.model):
            raise ValueError(
                "`backup_dir` must have backups of this model, with its optimizer and rule. "
                f"Received: {path}, of another. Take another folder, or delete it to start anew"
            )

    def _backups(self):
        """The paths of the backups, the oldest first."""
        found = [path for path in self.folder.glob(f"*{SUFFIX}") if NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(_named(path, "epochs")))


def _writes(model):
    strategy = getattr(model, "distribute_strategy", None)
    return strategy is None or strategy.extended.should_checkpoint


def _named(path: pathlib.Path, group: str) -> str:
    """What the name of a backup tells."""
    found: Any = NAME.fullmatch(path.name)
    return found[group]


def _content(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _kind(model):
    """Tells models apart by rule, optimizer and variables, whose names change from run to run."""
    objects = getattr(model, "perturbation", None), model.optimizer
    variables = [*model.variables, *model.optimizer.variables]
    described = [type(each).__name__ for each in objects]
    described += [f"{tuple(v.shape)} {v.dtype}" for v in variables]
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:8]


def _flush(path):
    """Waits until what was written has reached the disk: a rename may reach it first."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _empty(path):
    """Frees the disk. h5py writes the rest when it closes the file, where no `except` can help."""
    with contextlib.suppress(OSError):
        os.truncate(path, 0)
        os.unlink(path)

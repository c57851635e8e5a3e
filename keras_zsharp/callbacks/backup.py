import contextlib
import errno
import hashlib
import os
import pathlib
import re
import warnings

import keras

from keras_zsharp import checks, keras_internals

SUFFIX = ".weights.h5"
NAME = re.compile(
    r"(?P<epochs>\d{5,})-(?P<model>[0-9a-f]{8})-(?P<content>[0-9a-f]{64})" + re.escape(SUFFIX)
)
KEPT = 2


class DamagedBackup(ValueError):
    """None of the backups that a run has left is whole."""


class Backup(keras.callbacks.Callback):
    """Saves the state after every epoch, and goes on from it in a `fit` that was killed before.

    The same as `keras.callbacks.BackupAndRestore`, but for what happens when a run is killed while
    it saves, or a file is damaged. A backup is one file, which appears at once and whole; how many
    epochs it has had, of what model it is and a SHA-256 of its content are its name. The last two
    are kept. Give it to `fit`, and start the same program again after a kill:

        model.fit(x, y, epochs=20, callbacks=[keras_zsharp.callbacks.Backup("backup")])

    What is restored is what `model.save_weights` saves: weights, optimizer and, of a model that is
    sharpness-aware, the rule's state, rho and the state of dropout's seeds. It ends with the same
    bits as one that was not killed. Of plain Keras models, dropout's seeds are not saved.

    Of several workers the first one writes, into a folder that all of them can read.

    Args:
        backup_dir: str or path of the folder, of one run and of nothing else.
        delete_checkpoint: bool, whether a `fit` that has ended removes the backups. `True` by
            default. With `False`, the same `fit` again does nothing.

    Raises:
        TypeError: An argument is of another type.
        ValueError: When training begins: the backups are of another model, or all damaged (a
            `DamagedBackup`). Nothing has been loaded then.
        OSError: A backup cannot be written, as on a full disk. The one before is still there.
    """

    def __init__(self, backup_dir, delete_checkpoint=True):
        super().__init__()
        self.folder = pathlib.Path(checks.path("backup_dir", backup_dir))
        self._partial = self.folder / f"partial{SUFFIX}"
        self.delete_checkpoint = checks.flag("delete_checkpoint", delete_checkpoint)

    def on_train_begin(self, logs=None):
        keras_internals.start_at_epoch(self.model, self._restored())

    def on_epoch_end(self, epoch, logs=None):
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

    def on_train_end(self, logs=None):
        keras_internals.start_at_epoch(self.model, None)
        if self.delete_checkpoint and _writes(self.model):
            for path in self._backups():
                os.unlink(path)
            with contextlib.suppress(OSError):  # Something else may be in it.
                self._partial.unlink(missing_ok=True)
                self.folder.rmdir()

    def _restored(self):
        """Loads the newest whole backup, and gives the epochs it has had: None if there is none."""
        backups = self._backups()
        whole = [path for path in backups[-KEPT:] if _content(path) == _part(path, "content")]
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
            warnings.warn(f"{damaged[-1]} is damaged: training goes on from {newest}", stacklevel=2)
        self.model.load_weights(newest)
        return int(_part(newest, "epochs"))

    def _check_kind(self, path):
        keras_internals.build_optimizer(self.model)
        if _part(path, "model") != _kind(self.model):
            raise ValueError(
                "`backup_dir` must be of this model, with its optimizer and rule. Received: "
                f"{path}, of another. Take another folder, or delete it to start anew"
            )

    def _backups(self):
        """Oldest first."""
        found = [path for path in self.folder.glob(f"*{SUFFIX}") if NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(_part(path, "epochs")))


def _writes(model):
    strategy = getattr(model, "distribute_strategy", None)
    return strategy is None or strategy.extended.should_checkpoint


def _part(path, name):
    return NAME.fullmatch(path.name)[name]


def _content(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _kind(model):
    """Tells models apart by rule, optimizer and variables, whose names change from run to run."""
    parts = getattr(model, "perturbation", None), model.optimizer
    variables = [*model.variables, *model.optimizer.variables]
    described = [type(part).__name__ for part in parts]
    described += [f"{tuple(v.shape)} {v.dtype}" for v in variables]
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:8]


def _flush(path):
    """Has what was written reach the disk, before a rename does."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _empty(path):
    """Makes room: h5py writes the rest when it closes the file, which fails beyond any `except`."""
    with contextlib.suppress(OSError):
        os.truncate(path, 0)
        os.unlink(path)

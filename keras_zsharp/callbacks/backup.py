from __future__ import annotations

import warnings
import weakref
from typing import Any

import keras
import numpy as np

from keras_zsharp import checks
from keras_zsharp.callbacks.backup_files import BackupFiles
from keras_zsharp.data.epoch_order import EpochOrder
from keras_zsharp.keras_internals import fitting, optimizers
from keras_zsharp.resuming import backup_content, program
from keras_zsharp.resuming.remembered import Remembered
from keras_zsharp.typing import Logs, Path

MOST_LINES = 8
interrupted: Any = weakref.WeakSet()
"""The optimizers of the `fit`s of this process that have begun and have not ended."""


class DamagedBackup(ValueError):
    """All backups that a run has left are damaged."""


class Backup(keras.callbacks.Callback):
    """Saves the state after every epoch. After a kill, the same `fit` continues from there.

    It does what `keras.callbacks.BackupAndRestore` does, and is safe if a run is killed while it
    saves, or if a file is damaged. A backup is one file, which appears at once and whole. Its name
    has the number of epochs, and a SHA-256 of its content. The last two backups are kept. Pass the
    callback to `fit`, anywhere in the list, and start the same program again after a kill:

        model.fit(x, y, epochs=20, callbacks=[keras_zsharp.callbacks.Backup("backup")])

    A backup has what `model.save_weights` saves: weights, optimizer and, for a sharpness-aware
    model, the rule's state with rho. It also has the state of dropout's seeds and of the generators
    of Python, NumPy and PyTorch, what the other callbacks remember, and options of the step that a
    callback has set. So the run ends with the same bits as one that was not killed. What else a
    resumed run draws and reads is in the guide "Resume".

    A backup knows its program: layers, optimizer, loss, rule, options of the step, and batch size.
    Another program does not go on with it. The number of epochs may change.

    A `fit` that has ended removes the backups, unless it was stopped by a loss that is not finite.
    Where weights are not finite, no backup is written.

    With several workers, the first one writes into a folder that all of them can read. Backups of
    one backend go on with another, though not with the same bits.

    Args:
        backup_dir: str or path of the folder. It belongs to one run, and to one process
            at a time. Other files in it stay.
        delete_checkpoint: bool, whether a `fit` that has ended removes the backups, and the folder
            if nothing else is in it. With `False`, the same `fit` again does nothing.
        read_again: bool, whether a resumed run first reads the data of the epochs before, without
            training. So a generator, a `tf.data.Dataset` or a `PyDataset` that has a place or an
            order of its own goes on where it was. Arrays are not read, unless TensorFlow shuffles
            them. With `EpochOrder` among the callbacks nothing is.

    Raises:
        TypeError: An argument is of another type.
        ValueError: When training begins, the backups are of another program, of an earlier version,
            or all damaged (a `DamagedBackup`). Nothing has been loaded then.
        OSError: The folder cannot be used, when training begins. A backup cannot be written, for
            example on a full disk. The backup before is still there.
    """

    model: Any

    def __init__(
        self, backup_dir: Path, delete_checkpoint: bool = True, read_again: bool = True
    ) -> None:
        super().__init__()
        self.files = BackupFiles(checks.path("backup_dir", backup_dir))
        self.delete_checkpoint = checks.flag("delete_checkpoint", delete_checkpoint)
        self.read_again = checks.flag("read_again", read_again)
        self._last: Any = None
        self._fit: Any = None

    @property
    def folder(self) -> Any:
        """The path of the folder."""
        return self.files.folder

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._fit = fitting.running_fit()
        if self._fit is None:
            raise RuntimeError("`Backup` must be among the callbacks of a `fit`")
        # Others reset themselves when training begins, and change when an epoch ends: they first.
        callbacks = self._fit.callbacks.callbacks
        if self._last in callbacks:
            callbacks.remove(self._last)
        self._last = keras.callbacks.LambdaCallback(
            on_train_begin=self._begin, on_epoch_end=self._save, on_train_end=self._end
        )
        callbacks.append(self._last)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        fitting.start_at_epoch(self.model, None)

    def _begin(self, logs=None):
        fit = self._fit
        others = [c for c in fit.callbacks.callbacks if c not in (self, self._last)]
        self._remembered = Remembered(self.model, others)
        if self._remembered.is_first_process:
            self.files.prepare()
        known = ("batch_size", "shuffle", "class_weight")
        arguments = {**{n: fit.arguments[n] for n in known}, "steps": fit.iterator.num_batches}
        self._program = program.of(self.model, arguments)
        self._whole = True
        try:
            epochs = self._restored()
        except BaseException:
            self.files.release()
            raise
        interrupted.add(self.model.optimizer)
        fitting.start_at_epoch(self.model, epochs)

    def _save(self, epoch, logs=None):
        if not self._remembered.is_first_process:
            return
        self._whole = backup_content.is_finite(self.model)
        if self.model.stop_training:  # `TerminateOnNaN` stops before the weights are lost, too.
            self._whole &= bool(np.isfinite((logs or {}).get("loss", 0.0)).all())
        if not self._whole:
            warnings.warn(
                f"Weights, optimizer or loss are not finite after epoch {epoch + 1}: no backup of "
                "it is written. Those of epochs before stay.",
                stacklevel=2,
            )
            return
        state, arrays = self._remembered.to_save()
        state |= {"epochs": epoch + 1, "program": self._program}
        state["stopped"] = bool(self.model.stop_training)
        self.files.write(
            epoch + 1,
            backup_content.most_bytes(self.model, arrays),
            lambda path: backup_content.write(path, self.model, state, arrays),
        )

    def _end(self, logs=None):
        fitting.start_at_epoch(self.model, None)
        interrupted.discard(self.model.optimizer)
        self._fit.callbacks.callbacks.remove(self._last)
        if self.delete_checkpoint and self._whole and self._remembered.is_first_process:
            self.files.remove()
        if self._remembered.is_first_process:
            self.files.release()

    def _restored(self):
        """Loads the newest whole backup, and returns the epoch to begin with, or None."""
        newest, damaged = self.files.newest(backup_content.epochs_of)
        if damaged and newest is None:
            raise DamagedBackup(
                "`backup_dir` must have a backup that is whole. Received: "
                f"{list(map(str, damaged))}, all damaged. Delete them to start anew"
            )
        if newest is None:
            return None
        state, arrays = backup_content.read(newest)
        optimizers.build_optimizer(self.model)
        self._check(newest, state)
        if damaged:
            warnings.warn(
                f"{damaged[-1]} is damaged: training continues from {newest}", stacklevel=2
            )
        self._remembered.replace_rule(state)
        optimizers.build_optimizer(self.model)
        self.model.load_weights(newest)
        epochs, fit = state["epochs"], self._fit
        again = self.read_again and not any(
            isinstance(c, EpochOrder) for c in fit.callbacks.callbacks
        )
        again = again and not fitting.is_read_from_its_start(fit)
        if again and not state["stopped"] and epochs < self.params["epochs"]:
            fitting.read_epochs(fit.iterator, epochs - fit.arguments["initial_epoch"])
        threads = again and fitting.reads_in_threads(fit)
        process_wide = self._remembered.is_first_process and not threads
        self._remembered.restore(state, arrays, process_wide)
        return self.params["epochs"] if state["stopped"] else epochs

    def _check(self, path, state):
        if state is None:
            raise ValueError(
                "`backup_dir` must have backups of this version of keras-zsharp. Received: "
                f"{path}, of an earlier one. Take another folder, or delete it to start anew"
            )
        changed = program.differences(state["program"], self._program)
        if goes_on := self.model.optimizer in interrupted:
            self._program = state["program"]
            changed = {name: line for name, line in changed.items() if program.are_fixed(name)}
        if not changed:
            return
        listed = "".join(f"\n- {line}" for line in [*changed.values()][:MOST_LINES])
        if not goes_on or not program.are_numbers(self.model, changed):
            raise ValueError(
                "`backup_dir` must have backups of this model, with its optimizer and rule. "
                f"Received: {path}, of another program:{listed}\nRestore the program to go on. "
                "Take another folder, or delete it, to start anew. To go on with the weights "
                "alone, load them by `model.load_weights`, and take another folder"
            )
        # Set since, by a callback of the interrupted `fit` or by its user. The file has them.
        warnings.warn(f"Training continues from {path} as it was there:{listed}", stacklevel=2)

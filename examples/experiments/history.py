"""`history.csv`: a line for each epoch of a run, and what a run logs for it."""

import io
import time

import keras
import pandas as pd

from experiments import files

COLUMNS = ("epoch", "loss", "seconds", "val_accuracy")
"""Those of every run; there are more."""


def read(path, epochs, validation=None):
    """The first epochs of a run, as a data frame; of 0 epochs there need be no file.

    The file is `Damaged` where an epoch is missing or twice, a value is no number, or a column is
    missing that every run has, with `validation` data also that of the test data.
    """
    if not epochs:
        return pd.DataFrame(columns=COLUMNS)
    with files.reading(path):
        text = path.read_text(encoding="utf-8")
        if not text.endswith("\n"):
            raise ValueError("its last line is torn")
        # Of all ways to read a number, that of Python keeps its bits.
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False).astype(float)
        table[[*COLUMNS, *["test_accuracy"] * bool(validation)]]
        table = table[table["epoch"] < epochs].astype({"epoch": int})
        if list(table["epoch"]) != list(range(epochs)):
            raise ValueError(f"it must have the epochs 0 to {epochs - 1}, once each and in order")
    return table


class HistoryFile(keras.callbacks.Callback):
    """Writes every epoch into the file, after those that a backup has put back."""

    def __init__(self, path):
        super().__init__()
        self.path, self.rows = path, []

    def on_epoch_end(self, epoch, logs=None):
        self.rows.append({"epoch": epoch, **{name: float(logs[name]) for name in sorted(logs)}})
        with files.whole(self.path) as partial:
            pd.DataFrame(self.rows).to_csv(partial, index=False, na_rep="nan")


class Seconds(keras.callbacks.Callback):
    """Logs how long the epoch's steps took, and as `duration` the epoch with its validation.

    Between steps Keras has work of its own, which on small data takes as long as the steps.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = time.perf_counter()
        self.seconds = 0.0

    def on_train_batch_begin(self, batch, logs=None):
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.seconds += time.perf_counter() - self.started

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = self.seconds
        logs["duration"] = time.perf_counter() - self.begun


class TestAccuracy(keras.callbacks.Callback):
    """Logs the accuracy on the test data, for runs whose validation data are others."""

    def __init__(self, test):
        super().__init__()
        self.test = test

    def on_epoch_end(self, epoch, logs=None):
        tested = self.model.evaluate(self.test, verbose=0, return_dict=True)
        logs["test_accuracy"] = tested["accuracy"]

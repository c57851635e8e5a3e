"""`history.csv`: a line for each epoch of a run."""

import csv

import keras

from experiments import files

COLUMNS = ("epoch", "loss", "seconds", "val_accuracy")
"""Those of every run, of which there are more."""


def read(path, epochs, validation=None):
    """The first epochs of a run, as dicts of numbers; of those told twice, the last.

    What is no whole line of numbers says nothing: one that a killed process has torn, or a header
    between others.

    Args:
        path: The file; it need not be there for `epochs=0`.
        epochs: How many.
        validation: The run's share of validation data: with it, the test data have a column.

    Raises:
        Damaged: One of the epochs is missing, or a column that every run has.
    """
    if not epochs:
        return []
    try:
        *lines, _torn = path.read_text(encoding="utf-8").split("\n")
        header, *lines = [*csv.reader(lines)] or [[]]
    except (OSError, ValueError, csv.Error) as error:
        raise files.Damaged(path, files.reason(error)) from error
    for name in COLUMNS + ("test_accuracy",) * bool(validation):
        if name not in header:
            raise files.Damaged(path, f"it has no column {name!r}")
    rows = {row["epoch"]: row for line in lines if (row := _row(header, line))}
    for epoch in range(epochs):
        if epoch not in rows:
            raise files.Damaged(path, f"it has no epoch {epoch}")
    return [rows[epoch] for epoch in range(epochs)]


def _row(header, line):
    try:
        return {name: float(value) for name, value in zip(header, line, strict=True)}
    except ValueError:
        return None


class HistoryFile(keras.callbacks.Callback):
    """Writes every epoch into the file, after those that the run has had.

    What the file says of later epochs than the one that a killed run goes on from is cut off.
    """

    def __init__(self, path, validation):
        super().__init__()
        self.path = path
        self.validation = validation
        self.rows = None

    def on_epoch_begin(self, epoch, logs=None):
        if self.rows is None:
            self.rows = read(self.path, epoch, self.validation)

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch, **{name: float(logs[name]) for name in sorted(logs)}}
        if self.rows and self.rows[0].keys() != row.keys():
            raise files.Damaged(self.path, f"its columns are not those of epoch {epoch}")
        self.rows.append(row)
        with files.whole(self.path) as partial, open(partial, "w", newline="") as file:
            writer = csv.DictWriter(file, row)
            writer.writeheader()
            writer.writerows({**row, "epoch": int(row["epoch"])} for row in self.rows)

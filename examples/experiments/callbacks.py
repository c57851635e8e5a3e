"""What happens at the end of an epoch of a run."""

import os
import time

import keras


class Seconds(keras.callbacks.Callback):
    """Logs how long the epoch took."""

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = time.perf_counter() - self.started


class Tested(keras.callbacks.Callback):
    """Logs the accuracy on the test data, for runs whose validation data are others."""

    def __init__(self, test):
        super().__init__()
        self.test = test

    def on_epoch_end(self, epoch, logs=None):
        tested = self.model.evaluate(self.test, verbose=0, return_dict=True)
        logs["test_accuracy"] = tested["accuracy"]


class Backup(keras.callbacks.Callback):
    """Keeps the state after the last whole epoch.

    Keras' own `BackupAndRestore` writes the weights and the number of the epoch into two files, in
    place: what is killed meanwhile goes on from the wrong epoch, or not at all. Here the epoch is
    the name of the file, which appears at once.
    """

    def __init__(self, folder, write=True):
        super().__init__()
        self.folder = folder
        self.write = write

    def restore(self, model):
        """Brings the model to the latest state, if there is one; returns the epochs it has had."""
        saved = self._saved()
        if not saved:
            return 0
        model.load_weights(saved[-1])
        return int(saved[-1].name.split(".")[0])

    def on_epoch_end(self, epoch, logs=None):
        if not self.write:
            return
        before = self._saved()
        self.folder.mkdir(exist_ok=True)
        partial = self.folder / "partial.weights.h5"
        self.model.save_weights(partial, overwrite=True)
        os.replace(partial, self.folder / f"{epoch + 1:05d}.weights.h5")
        for path in before:
            path.unlink()

    def _saved(self):
        return sorted(self.folder.glob("[0-9]*.weights.h5"))

"""What happens at the end of an epoch of a run."""

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

"""What happens at the end of an epoch of a run."""

import time

import keras


class Seconds(keras.callbacks.Callback):
    """Logs how long the epoch's steps took, and as `duration` the epoch with its validation.

    Between them is Keras' own work, which on small data takes as long as the steps.
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


class Tested(keras.callbacks.Callback):
    """Logs the accuracy on the test data, for runs whose validation data are others."""

    def __init__(self, test):
        super().__init__()
        self.test = test

    def on_epoch_end(self, epoch, logs=None):
        tested = self.model.evaluate(self.test, verbose=0, return_dict=True)
        logs["test_accuracy"] = tested["accuracy"]

"""A small problem to compare methods on, at the top of a module, for other processes."""

import keras
import numpy as np

from keras_zsharp.comparing import Fit
from keras_zsharp.ops import each
from keras_zsharp.rules import Rule
from keras_zsharp.rules.operators import to_radius


class Half(Rule):
    """A rule of a user's: half of SAM's perturbation."""

    def __init__(self, rho=0.1, share=0.5, **kwargs):
        super().__init__(rho, **kwargs)
        self.share = share

    def call(self, gradients, variables, rho):
        return each(lambda e: self.share * e, to_radius(gradients, rho))

    def get_config(self):
        return {**super().get_config(), "share": self.share}


random = np.random.default_rng(0)
X = random.normal(size=(60, 4)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("float32")
PARTS = {"train": (X[:20], Y[:20]), "validation": (X[20:40], Y[20:40]), "test": (X[40:], Y[40:])}


def build(learning_rate=0.05):
    network = [keras.layers.Dense(3, "relu"), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential(network)
    model.compile(
        keras.optimizers.SGD(learning_rate, momentum=0.9),
        "binary_crossentropy",
        metrics=["accuracy"],
    )
    return model


LENGTH = {"epochs": 4, "batch_size": 10}
FIT = Fit(build, **PARTS, **LENGTH, test_each_epoch=True)
NOT_KILLED = Fit(build, **PARTS, **LENGTH)
CALLS = []


def table(rule, seed, scale=1.0):
    """What needs no training: numbers that hang on the rule, the seed and an option."""
    CALLS.append((rule, seed))
    rho = 0.0 if rule is None else rule.rho
    noise = float(np.random.default_rng(seed).normal()) + (0.1 * rho * seed)
    error = scale * (1 + (rho - 0.2) ** 2) + 0.1 * noise
    return {"test_error": error, "val_error": (rho - 0.2) ** 2, "seconds": 1.0 + seed}


def fails_at_seed_1(rule, seed):
    if rule is not None and seed == 1:
        raise ValueError("the disk is full")
    return table(rule, seed)


def killed_once(rule, seed, folder):
    """Trains; ends its process in the third epoch, the first time."""
    import os

    class Killer(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            mark = folder.parent / f"killed-{folder.name}"
            if epoch == 2 and not mark.exists():
                mark.touch()
                os._exit(9)

    fit = Fit(build, **PARTS, **LENGTH, callbacks=lambda: [Killer()])
    returned = fit(rule, seed, folder)
    return {name: value for name, value in returned.items() if name != "seconds"}

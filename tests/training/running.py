"""Trains a case's model as it is, wrapped, or by the reference."""

import functools

import keras
import numpy as np

from tests.training import reference
from tests.training.cases import CASES, MODES, SAMPLES

EPOCHS = 3


def build(name):
    """The network of a case, the same in every call."""
    keras.utils.set_random_seed(0)
    return CASES[name].build()


def compiled(model, name, **mode):
    case = CASES[name]
    model.compile(keras.optimizers.AdamW(0.05), case.loss, case.loss_weights, **mode)
    return model


def fit(model, name):
    """The history of three epochs of one batch: that of the steps."""
    case, how = CASES[name], {"batch_size": SAMPLES, "epochs": EPOCHS, "shuffle": False}
    return model.fit(case.x, case.y, **how, verbose=0, **case.fit).history


def sample_weight(case):
    if "class_weight" in case.fit:
        return np.array([case.fit["class_weight"][label] for label in case.y])
    return case.fit.get("sample_weight")


def expected_losses(name, rule, mode):
    """Losses of three steps of the reference with rho = 0.1, computed once a session.

    Eagerly, whatever the mode: but XLA draws random numbers in a way of its own.
    """
    return _expected_losses(name, rule, "xla" if mode == "xla" else "eager")


@functools.cache
def _expected_losses(name, rule, mode):
    case = CASES[name]
    batches = [(case.x, case.y, sample_weight(case))] * EPOCHS
    model = compiled(build(name), name, **MODES[mode])
    return tuple(reference.train(model, rule, 0.1, batches))

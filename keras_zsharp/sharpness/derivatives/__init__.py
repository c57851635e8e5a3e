"""The loss of a batch as Keras' backend differentiates it, which is the only one imported."""

import importlib

import keras


def of_batch(model, structure, specs):
    """The backend's `BatchLoss`, which see."""
    module = importlib.import_module(f"{__name__}.{keras.backend.backend()}")
    return module.BatchLoss(model, structure, specs)

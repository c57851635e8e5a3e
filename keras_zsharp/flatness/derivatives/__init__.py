"""The loss of a batch as Keras' backend differentiates it. No other backend is imported."""

from __future__ import annotations

import importlib
from typing import Any

import keras

from keras_zsharp.backend import NAME
from keras_zsharp.flatness.derivatives.base import BatchLoss
from keras_zsharp.typing import Nested


def of_batch(model: keras.Model, structure: Nested, specs: list[Any]) -> BatchLoss:
    """The `BatchLoss` of Keras' backend."""
    module = importlib.import_module(f"{__name__}.{NAME}")
    return module.BatchLoss(model, structure, specs)

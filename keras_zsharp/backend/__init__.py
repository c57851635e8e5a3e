"""What differs between Keras' backends. No other backend than Keras' is imported."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import keras

BACKENDS = ("tensorflow", "jax", "torch")
NAME = keras.backend.backend()


def _room() -> Any:
    if NAME not in BACKENDS:
        raise ImportError(
            f"keras_zsharp trains on Keras' backends {', '.join(BACKENDS)}. Set KERAS_BACKEND to "
            f"one of them before importing keras. Received: backend {NAME!r}"
        )
    return importlib.import_module(f"{__name__}.{NAME}")


if TYPE_CHECKING:
    from keras_zsharp.backend import tensorflow as _here
else:
    _here = _room()

Passes = _here.Passes
Trainer = _here.Trainer
alone = _here.alone
generators = _here.generators
is_first_process = _here.is_first_process
modes = _here.modes
set_generators = _here.set_generators

"""TensorFlow, imported at its first use: training on another backend does not need it."""

from __future__ import annotations

import importlib
from typing import Any

import keras


class _TensorFlow:
    def __getattr__(self, name: str) -> Any:
        try:
            module = importlib.import_module("tensorflow")
        except ImportError as error:
            raise ImportError(
                "`tf.data` pipelines are TensorFlow's, whatever Keras' backend is: "
                "pip install tensorflow"
            ) from error
        return getattr(module, name)


tf: Any = _TensorFlow()


def check_on_tensorflow(what: str) -> None:
    """Raises an error for `what`, unless Keras' backend is TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"{what} needs Keras' TensorFlow backend. Save the weights, and load them where "
            f"KERAS_BACKEND=tensorflow. Received: backend {keras.backend.backend()!r}"
        )

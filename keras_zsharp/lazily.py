"""TensorFlow, imported at its first use: training on another backend does not need it."""

from __future__ import annotations

import importlib.util
from typing import Any


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


def has_tensorflow() -> bool:
    """Whether TensorFlow is installed. This does not import it."""
    return importlib.util.find_spec("tensorflow") is not None

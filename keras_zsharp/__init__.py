"""Sharpness-aware training for Keras 3."""

try:
    import keras  # noqa: F401
except (ModuleNotFoundError, ValueError) as error:
    name = getattr(error, "name", None)
    if name in ("tensorflow", "jax", "torch"):
        message = (
            f"Keras' backend is {name!r}, which is not installed: "
            f'pip install "keras-zsharp[{name}]". '
            'For another backend, set KERAS_BACKEND to "tensorflow", "jax" or "torch".'
        )
    elif name == "openvino" or "Unable to import backend" in str(error):
        message = f'KERAS_BACKEND must be "tensorflow", "jax" or "torch". Keras said: {error}'
    else:
        raise
    raise ImportError(message) from error

from keras_zsharp import models
from keras_zsharp.comparing import compare
from keras_zsharp.in_place import plain, sharpness_aware
from keras_zsharp.model import SharpnessAwareModel
from keras_zsharp.rules import *  # noqa: F403
from keras_zsharp.training import SharpnessAwareTraining

from . import analysis, callbacks, comparing, data, flatness, rules, schedules

__version__ = "0.3.0"

__all__ = [
    "SharpnessAwareModel",
    "SharpnessAwareTraining",
    "analysis",
    "callbacks",
    "compare",
    "comparing",
    "data",
    "flatness",
    "models",
    "plain",
    "rules",
    "schedules",
    "sharpness_aware",
]
__all__ += rules.__all__

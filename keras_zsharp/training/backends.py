"""The step on Keras' backend. No other backend is imported."""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

BACKENDS = ("tensorflow", "jax", "torch")


def _step() -> Any:
    backend = keras.backend.backend()
    if backend not in BACKENDS:
        raise ImportError(
            f"keras_zsharp trains on Keras' backends {', '.join(BACKENDS)}. Set KERAS_BACKEND to "
            f"one of them before importing keras. Received: backend {backend!r}"
        )
    return importlib.import_module(f"keras_zsharp.training.{backend}.step").TwoPassStep


if TYPE_CHECKING:
    from keras_zsharp.training.tensorflow.step import TwoPassStep
else:
    TwoPassStep = _step()


def is_first_process(model: Any) -> bool:
    """Whether this process is the one of several that writes files, or is alone."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return model.distribute_strategy.extended.should_checkpoint
    if backend == "jax":
        return importlib.import_module("jax").process_index() == 0
    together = importlib.import_module("torch").distributed
    return not (together.is_available() and together.is_initialized()) or together.get_rank() == 0


def alone() -> contextlib.AbstractContextManager[Any]:
    """Encloses training in this thread that has nothing to do with other processes.

    On TensorFlow and JAX, a thread without a strategy or distribution trains alone.
    """
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    return importlib.import_module("keras_zsharp.training.torch.processes").alone()


def generators() -> dict[str, np.ndarray]:
    """The states of PyTorch's own generators. PyTorch's layers without a seed draw from them."""
    if keras.backend.backend() != "torch":
        return {}
    return {name: state.numpy() for name, state in _randomness().state().items()}


def set_generators(states: dict[str, np.ndarray]) -> None:
    """Restores such states on PyTorch. Other backends have no use for them."""
    if keras.backend.backend() == "torch":
        _randomness().restore(states)


def _randomness():
    return importlib.import_module("keras_zsharp.training.torch.randomness")

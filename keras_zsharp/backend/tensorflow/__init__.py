"""Keras' TensorFlow backend."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_zsharp.backend.tensorflow.passes import Passes
from keras_zsharp.backend.tensorflow.trainer import Trainer

__all__ = [
    "Passes",
    "Trainer",
    "alone",
    "generators",
    "is_first_process",
    "modes",
    "set_generators",
]


def is_first_process(model: Any) -> bool:
    """Whether this process is the one of several that writes files, or is alone."""
    return model.distribute_strategy.extended.should_checkpoint


def alone() -> contextlib.AbstractContextManager[Any]:
    """Encloses training in this thread that has nothing to do with other processes."""
    return contextlib.nullcontext()  # A thread without a strategy trains alone.


def generators() -> dict[str, np.ndarray]:
    """The states of the backend's own generators. Layers draw from PyTorch's alone."""
    return {}


def modes() -> Callable[[], None]:
    """Notes how this thread records gradients, and returns what puts it back: it is not changed."""
    return lambda: None


def set_generators(states: dict[str, np.ndarray]) -> None:
    """Restores such states. There are none."""

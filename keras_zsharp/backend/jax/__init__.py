"""Keras' JAX backend."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from keras_zsharp.backend.jax.passes import Passes
from keras_zsharp.backend.jax.trainer import Trainer

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
    del model
    return jax.process_index() == 0


def alone() -> contextlib.AbstractContextManager[Any]:
    """Encloses training in this thread that has nothing to do with other processes."""
    return contextlib.nullcontext()  # A thread without a distribution trains alone.


def generators() -> dict[str, np.ndarray]:
    """The states of the backend's own generators. JAX has none."""
    return {}


def modes() -> Callable[[], None]:
    """Notes how this thread records gradients, and returns what puts it back: it is not changed."""
    return lambda: None


def set_generators(states: dict[str, np.ndarray]) -> None:
    """Restores such states. There are none."""

"""What surrounds the step of a model: generators, other processes, modes of the thread."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_zsharp.backend import room

_HERE = room("surroundings")


def is_first_process(model: Any) -> bool:
    """Whether this process is the one of several that writes files, or is alone."""
    return _HERE.is_first_process(model)


def alone() -> contextlib.AbstractContextManager[Any]:
    """Encloses training in this thread that has nothing to do with other processes."""
    return _HERE.alone()


def modes() -> Callable[[], None]:
    """Notes how this thread records gradients, and returns what puts it back."""
    return _HERE.modes()


def generators() -> dict[str, np.ndarray]:
    """The states of PyTorch's own generators. PyTorch's layers without a seed draw from them.

    The other backends have none.
    """
    return _HERE.generators()


def set_generators(states: Mapping[str, np.ndarray]) -> None:
    """Restores such states on PyTorch. Other backends have no use for them."""
    _HERE.set_generators(states)

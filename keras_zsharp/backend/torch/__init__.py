"""Keras' PyTorch backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from keras_zsharp.backend.torch import randomness
from keras_zsharp.backend.torch.passes import Passes
from keras_zsharp.backend.torch.processes import alone
from keras_zsharp.backend.torch.torch_internals import autograd_modes as modes
from keras_zsharp.backend.torch.trainer import Trainer

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
    together = torch.distributed
    return not (together.is_available() and together.is_initialized()) or together.get_rank() == 0


def generators() -> dict[str, np.ndarray]:
    """The states of PyTorch's own generators. PyTorch's layers without a seed draw from them."""
    return {name: state.numpy() for name, state in randomness.state().items()}


def set_generators(states: dict[str, np.ndarray]) -> None:
    """Restores such states."""
    randomness.restore(states)

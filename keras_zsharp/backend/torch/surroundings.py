from __future__ import annotations

from typing import Any

import torch

from keras_zsharp.backend.torch import randomness
from keras_zsharp.backend.torch.processes import alone
from keras_zsharp.backend.torch.randomness import restore as set_generators
from keras_zsharp.backend.torch.torch_internals import autograd_modes as modes

__all__ = ["alone", "generators", "is_first_process", "modes", "set_generators"]


def is_first_process(model: Any) -> bool:
    del model
    together = torch.distributed
    return not (together.is_available() and together.is_initialized()) or together.get_rank() == 0


def generators() -> dict[str, Any]:
    return {name: state.numpy() for name, state in randomness.state().items()}

from __future__ import annotations

from typing import Any

from keras_zsharp.backend.without import alone, generators, modes, set_generators

__all__ = ["alone", "generators", "is_first_process", "modes", "set_generators"]


def is_first_process(model: Any) -> bool:
    return model.distribute_strategy.extended.should_checkpoint

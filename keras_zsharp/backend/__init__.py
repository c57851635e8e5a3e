"""What differs between Keras' backends. This is the one place that asks which one Keras has.

Each backend has rooms of the same names, modules in a folder of its own:

- `passes`: the passes of a step, see `keras_zsharp.backend.passes`.
- `batch_loss`: the loss of a batch and its derivatives, see `keras_zsharp.backend.batch_loss`.
- `trainer`: what a step asks of Keras' trainer.
- `tensors`: what `keras.ops` lacks, see `keras_zsharp.ops`.
- `copying`: the classes whose values change in place, see `keras_zsharp.copies`.
- `surroundings`: generators, processes and modes, see `keras_zsharp.backend.surroundings`.
"""

from __future__ import annotations

import importlib
from typing import Any

import keras

BACKENDS = ("tensorflow", "jax", "torch")
NAME = keras.backend.backend()


def room(name: str) -> Any:
    """The module of that name of Keras' backend. No other backend is imported.

    Raises:
        ImportError: Keras has another backend.
    """
    if NAME not in BACKENDS:
        raise ImportError(
            f"keras_zsharp trains on Keras' backends {', '.join(BACKENDS)}. Set KERAS_BACKEND to "
            f"one of them before importing keras. Received: backend {NAME!r}"
        )
    return importlib.import_module(f"{__name__}.{NAME}.{name}")

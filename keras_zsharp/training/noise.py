"""A warning of noise that is not Keras' own: it differs between the passes."""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np


def shared_generators() -> Any:
    """The state of the generators of Python and NumPy."""
    numpy_state: Any = np.random.get_state()
    _, key, position, *_ = numpy_state
    return random.getstate(), key.tobytes(), position


def warn_of_noise(before: Any, operations: Sequence[str] = ()) -> None:
    """Warns if a pass has drawn noise that the other pass draws anew.

    Args:
        before: What `shared_generators` returned before the pass.
        operations: Names of the graph's operations that draw noise.
    """
    sources = [f"the operations {list(operations[:3])}"] if operations else []
    if shared_generators() != before:
        sources.append("numbers from NumPy's or Python's generator")
    if sources:
        warnings.warn(
            "The two passes of a step draw different noise: even with rho=0 the model does not "
            "train as plain Keras does. Draw from `keras.random`, whose noise they share. "
            f"Received: a model with {' and '.join(sources)}",
            stacklevel=2,
        )

"""Noise that is not Keras' own differs between the passes, and is warned of."""

import random
import warnings

import numpy as np


def shared_generators():
    """The state of what Python and NumPy draw from."""
    _, key, position, *_ = np.random.get_state()
    return random.getstate(), key.tobytes(), position


def warn_of_noise(before, operations=()):
    """Warns if a pass has drawn noise that another pass over the batch draws anew.

    Args:
        before: `shared_generators()` before the pass.
        operations: Names of operations of a graph that draw.
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

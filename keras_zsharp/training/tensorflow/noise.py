"""Noise that is not Keras' own differs between the passes, and is warned of."""

import random
import warnings

import numpy as np


def shared_generators():
    """The state of what Python and NumPy draw from."""
    _, key, position, *_ = np.random.get_state()
    return random.getstate(), key.tobytes(), position


def warn_of_noise(operations, before):
    """Warns if a pass draws noise that another pass over the batch draws anew.

    Args:
        operations: Those of the pass in a graph. Eagerly, what TensorFlow draws goes unnoticed.
        before: `shared_generators()` before the pass.
    """
    names = [operation.name for operation in operations if _draws(operation)]
    sources = [f"the operations {names[:3]}"] if names else []
    if shared_generators() != before:
        sources.append("numbers from NumPy's or Python's generator")
    if sources:
        warnings.warn(
            "The two passes of a step draw different noise: even with rho=0 the model does not "
            "train as plain Keras does. Draw from `keras.random`, whose noise they share. "
            f"Received: a model with {' and '.join(sources)}",
            stacklevel=2,
        )


def _draws(operation):
    """Whether it has a seed, or the state of a `tf.random.Generator`; Keras' noise has neither."""
    kind = operation.type
    of_a_generator = kind.startswith(("Rng", "Stateful")) and "PartitionedCall" not in kind
    return of_a_generator or any(a.name == "seed2" for a in operation.op_def.attr)

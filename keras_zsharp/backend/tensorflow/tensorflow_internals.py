"""The private names of TensorFlow that this library uses.

A new release of TensorFlow may break this module, and no other.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import tape as tapes
from tensorflow.python.util import object_identity

__all__ = ["TensorAsVariable", "outside_of_graph", "spans_workers"]


@contextlib.contextmanager
def outside_of_graph() -> Iterator[None]:
    """Creates variables as if no graph were being traced.

    TensorFlow traces a function a second time if its first trace creates variables, even in a
    `tf.init_scope`. Under a distribution strategy there is no other way.
    """
    if tf.distribute.has_strategy():
        with tf.init_scope():
            yield
    elif tf.executing_eagerly():
        yield
    else:
        with tf.Graph().as_default(), tf.__internal__.eager_context.eager_mode():
            yield


def spans_workers(strategy: tf.distribute.Strategy) -> bool:
    """Whether a distribution strategy has several workers."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and (
        strategy.extended._in_multi_worker_mode()
    )


class TensorAsVariable(tf.Variable, tf.__internal__.types.Tensor):
    """A tensor that TensorFlow takes for a variable.

    `tf.custom_gradient` and `tf.recompute_grad` ask the tapes for the variables that were read, and
    differentiate by them.

    Args:
        name: Name of the variable, for errors.
        tensor: The variable's value, a dense tensor.
    """

    trainable = True
    _should_act_as_resource_variable = True

    def __init__(self, name: str, tensor: tf.Tensor) -> None:
        self._name, self._tensor = name, tensor
        self._dtype, self._shape = tensor.dtype, tensor.shape

    # TensorFlow reads these in C++, where an interrupt of Python's would be a SystemError.
    name = property(operator.attrgetter("_name"))
    handle = property(operator.attrgetter("_tensor"))
    """A tape watches this tensor for the variable."""
    dtype = property(operator.attrgetter("_dtype"))
    shape = property(operator.attrgetter("_shape"))

    def value(self) -> tf.Tensor:
        return self._tensor

    def ref(self) -> Any:
        return object_identity.Reference(self)

    def accessed(self) -> None:
        """Tells the tapes that the variable was read."""
        tapes.variable_accessed(self)

    def __repr__(self) -> str:
        return f"<{self.name}: {self._tensor}>"


tf.register_tensor_conversion_function(
    TensorAsVariable, lambda variable, dtype=None, name=None, as_ref=False: variable.value()
)

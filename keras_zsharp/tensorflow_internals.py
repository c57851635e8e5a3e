"""What this library needs of TensorFlow that has no public name.

A new release may break it, and nothing else.
"""

import contextlib
import operator

import tensorflow as tf
from tensorflow.python.eager import tape as tapes
from tensorflow.python.util import object_identity

__all__ = ["TensorAsVariable", "outside_of_graph", "spans_workers"]


@contextlib.contextmanager
def outside_of_graph():
    """Creates variables as if no graph were being traced.

    TensorFlow traces a function a second time if variables were created in its first trace, even
    in a `tf.init_scope`. Under a distribution strategy that is what is left.
    """
    if tf.distribute.has_strategy():
        with tf.init_scope():
            yield
    else:
        with tf.Graph().as_default(), tf.__internal__.eager_context.eager_mode():
            yield


def spans_workers(strategy):
    """Whether a distribution strategy has several workers."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and (
        strategy.extended._in_multi_worker_mode()
    )


class TensorAsVariable(tf.Variable, tf.__internal__.types.Tensor):
    """A tensor that TensorFlow takes for the variable whose value it is.

    `tf.custom_gradient` and `tf.recompute_grad` ask the tapes for the variables that were read, and
    differentiate by them.

    Args:
        name: Of the variable, for errors.
        tensor: A dense tensor.
    """

    trainable = True
    _should_act_as_resource_variable = True

    def __init__(self, name, tensor):
        self._name, self._tensor = name, tensor
        self._dtype, self._shape = tensor.dtype, tensor.shape

    # TensorFlow reads these in C++, where an interrupt of Python's would be a SystemError.
    name = property(operator.attrgetter("_name"))
    handle = property(operator.attrgetter("_tensor"))
    """What a tape watches for a variable."""
    dtype = property(operator.attrgetter("_dtype"))
    shape = property(operator.attrgetter("_shape"))

    def value(self):
        return self._tensor

    def ref(self):
        return object_identity.Reference(self)

    def accessed(self):
        """Tells the tapes that the variable was read."""
        tapes.variable_accessed(self)

    def __repr__(self):
        return f"<{self.name}: {self._tensor}>"


tf.register_tensor_conversion_function(
    TensorAsVariable, lambda variable, dtype=None, name=None, as_ref=False: variable.value()
)

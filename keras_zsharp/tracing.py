"""How a backend turns Python into a graph, which `keras.ops` says nothing of."""

import keras


def is_traced(x):
    """Whether a tensor is one of a graph, without a value yet."""
    if keras.backend.backend() == "jax":
        import jax

        return isinstance(x, jax.core.Tracer)
    return not hasattr(x, "numpy")  # Of TensorFlow's tensors; PyTorch has no others.


def as_written(function):
    """Keeps AutoGraph from translating a function, in a user's `tf.function` too.

    And PyTorch from recording how it computes what nobody differentiates.
    """
    if keras.backend.backend() == "torch":
        import torch

        return torch.no_grad()(function)
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.autograph.experimental.do_not_convert(function)


def is_sparse(x):
    """Whether a tensor is one of a backend's sparse ones."""
    return "sparse" in type(x).__module__ or getattr(x, "is_sparse", False)


def with_length(x, length, message):
    """A tensor of unknown length, of which TensorFlow makes sure, once it runs, that it has one."""
    import tensorflow as tf

    with tf.control_dependencies([tf.debugging.assert_equal(tf.shape(x)[0], length, message)]):
        return tf.identity(x)

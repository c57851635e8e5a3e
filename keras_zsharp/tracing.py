"""How a backend turns Python into a graph, which `keras.ops` says nothing of."""

import keras


def is_traced(x):
    """Whether a tensor is one of a graph, without a value yet."""
    if keras.backend.backend() == "jax":
        import jax

        return isinstance(x, jax.core.Tracer)
    return not hasattr(x, "numpy")


def as_written(function):
    """Keeps TensorFlow's AutoGraph from translating a function, in a user's `tf.function` too."""
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.autograph.experimental.do_not_convert(function)

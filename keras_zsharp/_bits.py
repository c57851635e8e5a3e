"""The bit patterns of floats, for which `keras.ops` has no word in all the versions we support."""

import keras


def to_bits(x):
    """The bit pattern of a float32 tensor as int32."""
    return _bitcast(x, "int32")


def from_bits(bits):
    """The float32 tensor with that bit pattern."""
    return _bitcast(bits, "float32")


def _bitcast(x, dtype):
    if keras.backend.backend() == "jax":
        import jax

        return jax.lax.bitcast_convert_type(x, dtype)
    import tensorflow as tf

    return tf.bitcast(x, dtype)

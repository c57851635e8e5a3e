"""Bit patterns, for which `keras.ops` has no word in all the versions we support."""

import keras


def to_bits(x):
    """The bit pattern of a float32 tensor as int32."""
    return _bitcast(x, "int32")


def from_bits(bits):
    """The float32 tensor with that bit pattern."""
    return _bitcast(bits, "float32")


def count_true(x):
    """How many elements of a boolean tensor are true along its last axis, of length < 128: int8.

    `keras.ops.sum` would write them as int32 first, which takes as long as the sum.
    """
    if keras.backend.backend() == "jax":
        return x.sum(axis=-1, dtype="int8")
    import tensorflow as tf

    return tf.reduce_sum(tf.cast(x, "int8"), axis=-1)


def _bitcast(x, dtype):
    if keras.backend.backend() == "jax":
        import jax

        return jax.lax.bitcast_convert_type(x, dtype)
    import tensorflow as tf

    return tf.bitcast(x, dtype)

from __future__ import annotations

from typing import Any

import tensorflow as tf

as_written = tf.autograph.experimental.do_not_convert
bitcast = tf.bitcast


def is_traced(x: Any) -> bool:
    return not hasattr(x, "numpy")  # Tensors in a graph have none.


def is_sparse(x: Any) -> bool:
    return isinstance(x, tf.SparseTensor)


def with_length(x: Any, length: Any, message: str) -> Any:
    with tf.control_dependencies([tf.debugging.assert_equal(tf.shape(x)[0], length, message)]):
        return tf.identity(x)


def of_the_device(dtype: str) -> str:
    return dtype


def sum_true(x: Any) -> Any:
    return tf.reduce_sum(tf.cast(x, "int8"), axis=-1)

"""Exact order statistics of tensors."""

from keras import backend, ops

from keras_zsharp.selection.bits import from_bits, to_bits
from keras_zsharp.selection.search import BELOW, kth_largest_keys

SORTED = 1024
"""Up to this length, rows are sorted rather than searched."""

SIGN = -(2**31)
"""The sign bit."""


def kth_largest(x, k):
    """The `k`-th largest element of each row of `x`, duplicates counted.

    Exact: the same value as `sort(x)[..., n - k]`, found without sorting in rows of more than 1,024
    elements. There NaN counts as larger than infinity or, with its sign bit set, as the smallest;
    in shorter rows, and in float64, it is wherever `top_k` puts it.

    Args:
        x: Floating tensor of static shape (..., n).
        k: int or int32 scalar, `1 <= k <= n`.

    Returns:
        Tensor of shape (...), of `x`'s dtype.
    """
    x = ops.convert_to_tensor(x)
    if is_sorted(x):
        return by_sorting(x, k)
    bits = to_bits(ops.cast(ops.reshape(x, [-1, x.shape[-1]]), "float32"))
    size = bits.shape[-1]
    # Among the elements of the wanted one's sign; of negative ones, the magnitudes.
    positive = k <= ops.sum(ops.cast(bits >= 0, "int32"), axis=-1)
    signs = ops.where(positive, 0, SIGN)
    keys = ops.maximum(ops.bitwise_xor(bits, signs[:, None]), BELOW)
    [found] = kth_largest_keys([keys], [ops.where(positive, k, size + 1 - k)])
    found = from_bits(ops.bitwise_xor(found, signs))
    return ops.cast(ops.reshape(found, x.shape[:-1]), x.dtype)


def is_sorted(x):
    """Short rows, and those whose bit patterns do not fit into int32."""
    return x.shape[-1] <= SORTED or backend.standardize_dtype(x.dtype) == "float64"


def by_sorting(x, k):
    """`kth_largest` of such rows; `k` may be a tensor of one number each."""
    values, _ = ops.top_k(x, x.shape[-1])
    place = ops.broadcast_to(ops.cast(k, "int32") - 1, x.shape[:-1])
    return ops.take_along_axis(values, place[..., None], axis=-1)[..., 0]

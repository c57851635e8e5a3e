"""Exact order statistics of tensors."""

from __future__ import annotations

from keras import backend, ops

from keras_zsharp.ops import from_bits, to_bits
from keras_zsharp.selection.search import BELOW, kth_largest_keys
from keras_zsharp.typing import Tensor

SORTED = 1024
"""Rows up to this length are sorted. Longer ones are searched."""

SIGN = -(2**31)
"""The sign bit."""


def kth_largest(x: Tensor, k: int | Tensor) -> Tensor:
    """The `k`-th largest element of each row of `x`, with duplicates.

    The result is exactly `sort(x)[..., n - k]`. Rows of more than 1,024 elements are not sorted:
    there NaN is larger than infinity or, with its sign bit set, smaller than all. In shorter rows
    and in float64, NaN is where `top_k` puts it.

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
    # Search among the elements with the sign of the result. For negative ones, search magnitudes.
    positive = k <= ops.sum(ops.cast(bits >= 0, "int32"), axis=-1)
    signs = ops.where(positive, 0, SIGN)
    keys = ops.maximum(ops.bitwise_xor(bits, signs[:, None]), BELOW)
    [found] = kth_largest_keys([keys], [ops.where(positive, k, size + 1 - k)])
    found = from_bits(ops.bitwise_xor(found, signs))
    return ops.cast(ops.reshape(found, x.shape[:-1]), x.dtype)


def is_sorted(x: Tensor) -> bool:
    """Whether rows are sorted: short ones, and those whose bit patterns do not fit into int32."""
    return x.shape[-1] <= SORTED or backend.standardize_dtype(x.dtype) == "float64"


def by_sorting(x: Tensor, k: int | Tensor) -> Tensor:
    """`kth_largest` by sorting. `k` may be a tensor with a number for each row."""
    values, _ = ops.top_k(x, x.shape[-1])
    place = ops.broadcast_to(ops.cast(k, "int32") - 1, x.shape[:-1])
    return ops.take_along_axis(values, place[..., None], axis=-1)[..., 0]

"""Exact order statistics of tensors, and the masks made from them."""

import math

from keras import backend, ops

from keras_zsharp._bits import from_bits, to_bits
from keras_zsharp.search import kth_largest_key

SORTED = 1024
"""Up to this length, rows are sorted rather than searched."""

STACKED = 2**22
"""Rows of equal length are selected from together, up to so many elements."""


def kth_largest(x, k):
    """The `k`-th largest element of each row of `x`, duplicates counted.

    Exact: the same value as `sort(x)[..., n - k]`, found without sorting in rows of more than 1,024
    elements. There NaN counts as larger than infinity or, with its sign bit set, as the smallest.

    Args:
        x: Floating tensor of static shape (..., n).
        k: int or int32 scalar, `1 <= k <= n`.

    Returns:
        Tensor of shape (...), of `x`'s dtype.
    """
    x = ops.convert_to_tensor(x)
    if _is_sorted(x):
        return _by_sorting(x, k)
    rows = to_bits(ops.cast(ops.reshape(x, [-1, x.shape[-1]]), "float32"))
    # Bit patterns are ordered as integers; those of negative numbers the other way round.
    keys = kth_largest_key(_turned(rows), k)
    return ops.cast(ops.reshape(from_bits(_turned(keys)), x.shape[:-1]), x.dtype)


def zscore_masks(gradients, q_p):
    """Which elements of each gradient have an absolute z-score above the `q_p`-quantile.

    `m = |g - mean(g)| > x[floor((n - 1) q_p)]` with `x = sort(|g - mean(g)|)` and `n = size(g)`,
    which is `|z| > quantile(|z|, q_p)` for `z = (g - mean(g)) / std(g)`: the standard deviation
    cancels, and linear interpolation between two neighbours never admits the lower one.

    Without ties `n - 1 - floor((n - 1) q_p)` elements are kept; elements equal to the threshold
    are not, so that constant and one-element gradients keep none. Neither do those with NaN or
    infinities, whose mean is none. `q_p = 0` filters nothing: all finite gradients are kept whole.

    Args:
        gradients: List of floating tensors of static shapes.
        q_p: float in [0, 1], or such a scalar tensor; one of float32 counts to six decimals.

    Returns:
        List of boolean tensors of the gradients' shapes.
    """
    masks = [None] * len(gradients)
    for members in _of_equal_length(gradients):
        rows = [ops.reshape(gradients[i], [-1]) for i in members]
        for i, mask in zip(members, _row_masks(ops.stack(rows), q_p), strict=True):
            masks[i] = ops.reshape(mask, gradients[i].shape)
    return masks


def _of_equal_length(gradients):
    """Indices of gradients that can be stacked: one large kernel instead of many small ones."""
    groups = {}
    for i, gradient in enumerate(gradients):
        kind = math.prod(gradient.shape), backend.standardize_dtype(gradient.dtype)
        groups.setdefault(kind, []).append(i)
    for (size, _), members in groups.items():
        together = max(STACKED // size, 1)
        for start in range(0, len(members), together):
            yield members[start : start + together]


def _row_masks(rows, q_p):
    count, size = rows.shape
    k = size - _rank(size, q_p)
    deviation = ops.abs(rows - ops.mean(rows, axis=-1, keepdims=True))
    if _is_sorted(rows):
        threshold = _by_sorting(deviation, k)
    else:
        # Not by `kth_largest`: without a sign, the bit patterns are in order as they are.
        keys = kth_largest_key(to_bits(ops.cast(deviation, "float32")), k)
        threshold = ops.cast(from_bits(keys), rows.dtype)
    threshold = ops.where(q_p > 0, threshold, -ops.ones_like(threshold))
    return ops.unstack(deviation > threshold[:, None], count)


def _rank(size, q_p):
    """`floor((size - 1) q_p)`, in float64: the rank, from 0, of the quantile's lower neighbour."""
    if isinstance(q_p, (int, float)):
        return math.floor((size - 1) * q_p)
    wide = ops.cast(q_p, "float64")
    if backend.standardize_dtype(q_p.dtype) == "float32":
        # What a schedule computes as 0.95 is a little less, and would miss a whole rank.
        wide = ops.round(wide * 1e6) / 1e6
    return ops.cast(ops.floor((size - 1) * wide), "int32")


def _is_sorted(x):
    """Short rows, and those whose bit patterns do not fit into int32."""
    return x.shape[-1] <= SORTED or backend.standardize_dtype(x.dtype) == "float64"


def _by_sorting(x, k):
    values, _ = ops.top_k(x, x.shape[-1])
    return ops.take(values, k - 1, axis=-1)


def _turned(bits):
    """Its own inverse."""
    return ops.where(bits < 0, ops.bitwise_xor(bits, 0x7FFFFFFF), bits)

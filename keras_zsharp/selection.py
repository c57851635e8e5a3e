"""Exact order statistics of tensors, and the masks made from them."""

import math

import numpy as np
from keras import backend, ops

from keras_zsharp._backend import from_bits, to_bits
from keras_zsharp.search import BELOW, kth_largest_keys

SORTED = 1024
"""Up to this length, rows are sorted rather than searched."""

SIGN = -(2**31)
"""The sign bit."""

STACKED = 2**22
"""Gradients are selected from together up to so many elements."""
PADDED = 4
"""The longest of them is at most so many times as long as the shortest."""


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
    if _is_sorted(x):
        return _by_sorting(x, k)
    bits = to_bits(ops.cast(ops.reshape(x, [-1, x.shape[-1]]), "float32"))
    size = bits.shape[-1]
    # Among the elements of the wanted one's sign; of negative ones, the magnitudes.
    positive = k <= ops.sum(ops.cast(bits >= 0, "int32"), axis=-1)
    signs = ops.where(positive, 0, SIGN)
    keys = ops.maximum(ops.bitwise_xor(bits, signs[:, None]), BELOW)
    [found] = kth_largest_keys([keys], [ops.where(positive, k, size + 1 - k)])
    found = from_bits(ops.bitwise_xor(found, signs))
    return ops.cast(ops.reshape(found, x.shape[:-1]), x.dtype)


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
    groups = _groups(gradients)
    stacks = [_Stack([gradients[i] for i in members], q_p) for members in groups]
    masks = [None] * len(gradients)
    for members, stack, thresholds in zip(groups, stacks, _thresholds(stacks), strict=True):
        thresholds = ops.where(q_p > 0, thresholds, -ops.ones_like(thresholds))
        for i, mask in zip(members, stack.masks(thresholds), strict=True):
            masks[i] = mask
    return masks


def _groups(gradients):
    """Indices of gradients to select from together: a few large kernels instead of many small."""
    sizes = [math.prod(gradient.shape) for gradient in gradients]
    groups = []
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        group = groups[-1] if groups else None
        if (
            group is not None
            and sizes[i] * PADDED >= sizes[group[0]]
            and sizes[group[0]] * (len(group) + 1) <= STACKED
            and gradients[i].dtype == gradients[group[0]].dtype
        ):
            group.append(i)
        else:
            groups.append([i])
    return groups


class _Stack:
    """Gradients as rows that are filled up to the longest, and their deviations from the mean."""

    def __init__(self, gradients, q_p):
        self.shapes = [gradient.shape for gradient in gradients]
        self.sizes = np.array([math.prod(shape) for shape in self.shapes])
        self.ranks = self.sizes - _ranks(self.sizes, q_p)
        longest = self.sizes.max()
        self.filled = self.sizes.min() < longest
        rows = [ops.reshape(gradient, [1, -1]) for gradient in gradients]
        if self.filled:
            rows = [ops.pad(row, [[0, 0], [0, longest - row.shape[1]]]) for row in rows]
        rows = ops.concatenate(rows) if len(rows) > 1 else rows[0]
        mean = ops.sum(rows, axis=-1) / ops.cast(self.sizes, rows.dtype)
        self.deviations = ops.abs(rows - mean[:, None])

    def without_filling(self, values, lowest):
        if not self.filled:
            return values
        return ops.where(ops.arange(values.shape[1]) < self.sizes[:, None], values, lowest)

    def masks(self, thresholds):
        masks = self.deviations > thresholds[:, None]
        return [
            ops.reshape(masks[i, :size], shape)
            for i, (size, shape) in enumerate(zip(self.sizes, self.shapes, strict=True))
        ]


def _thresholds(stacks):
    """The deviations that have the stacks' ranks in each row."""
    searched, keys = [], []
    for stack in stacks:
        if not _is_sorted(stack.deviations):
            searched.append(stack)
            # Without a sign, bit patterns are in order.
            bits = to_bits(ops.cast(stack.deviations, "float32"))
            keys.append(stack.without_filling(bits, BELOW))
    found = iter(kth_largest_keys(keys, [stack.ranks for stack in searched]) if searched else ())
    return [
        _by_sorting(stack.without_filling(stack.deviations, -1), stack.ranks)
        if _is_sorted(stack.deviations)
        else ops.cast(from_bits(next(found)), stack.deviations.dtype)
        for stack in stacks
    ]


def _ranks(sizes, q_p):
    """`floor((n - 1) q_p)`, in float64: the ranks, from 0, of the quantiles' lower neighbours."""
    if isinstance(q_p, (int, float)):
        return np.floor((sizes - 1) * q_p).astype("int32")
    wide = ops.cast(q_p, "float64")
    if backend.standardize_dtype(q_p.dtype) == "float32":
        # What a schedule computes as 0.95 is a little less, and would miss a whole rank.
        wide = ops.round(wide * 1e6) / 1e6
    return ops.cast(ops.floor((sizes - 1) * wide), "int32")


def _is_sorted(x):
    """Short rows, and those whose bit patterns do not fit into int32."""
    return x.shape[-1] <= SORTED or backend.standardize_dtype(x.dtype) == "float64"


def _by_sorting(x, k):
    values, _ = ops.top_k(x, x.shape[-1])
    place = ops.broadcast_to(ops.cast(k, "int32") - 1, x.shape[:-1])
    return ops.take_along_axis(values, place[..., None], axis=-1)[..., 0]

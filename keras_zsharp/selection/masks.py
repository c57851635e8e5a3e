"""Which components of the gradients stand out: masks above a quantile of scores."""

import math

import numpy as np
from keras import backend, ops

from keras_zsharp.selection.bits import from_bits, int32, to_bits
from keras_zsharp.selection.order import by_sorting, is_sorted, kth_largest
from keras_zsharp.selection.scores import deviations, is_filling
from keras_zsharp.selection.search import BELOW, kth_largest_keys

STACKED = 2**22
"""Gradients are selected from together up to so many elements."""
PADDED = 4
"""The longest of them is at most so many times as long as the shortest."""


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
    return top_masks(gradients, q_p, deviations)


def top_masks(gradients, q_p, score, common=False):
    """Which elements of each gradient have a score above the `q_p`-quantile of scores.

    Args:
        gradients, q_p: As in `zscore_masks`.
        score: Function from a matrix with a gradient in each row, filled up at the end, and their
            sizes to the matrix of their scores, >= 0.
        common: Whether the quantile is that over the scores of all gradients, rather than of each.

    Returns:
        List of boolean tensors of the gradients' shapes.
    """
    if not gradients:
        return []
    groups = _groups(gradients)
    stacks = [_Stack([gradients[i] for i in members], score) for members in groups]
    masks = [None] * len(gradients)
    found = (_common_threshold if common else _thresholds)(stacks, q_p)
    for members, stack, thresholds in zip(groups, stacks, found, strict=True):
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
    """Gradients as rows that are filled up to the longest, and their scores."""

    def __init__(self, gradients, score):
        self.shapes = [gradient.shape for gradient in gradients]
        self.sizes = np.array([math.prod(shape) for shape in self.shapes])
        longest = self.sizes.max()
        rows = [ops.reshape(gradient, [1, -1]) for gradient in gradients]
        if self.sizes.min() < longest:
            rows = [ops.pad(row, [[0, 0], [0, longest - row.shape[1]]]) for row in rows]
        rows = ops.concatenate(rows) if len(rows) > 1 else rows[0]
        self.scores = score(rows, self.sizes)

    def without_filling(self, values, lowest):
        if self.sizes.min() == self.sizes.max():
            return values
        return ops.where(is_filling(values, self.sizes), lowest, values)

    def masks(self, thresholds):
        masks = self.scores > thresholds[:, None]
        return [
            ops.reshape(masks[i, :size], shape)
            for i, (size, shape) in enumerate(zip(self.sizes, self.shapes, strict=True))
        ]


def _thresholds(stacks, q_p):
    """The scores that are the lower neighbours of the quantiles, in each row of the stacks."""
    places = [int32(stack.sizes) - _ranks(stack.sizes, q_p) for stack in stacks]
    searched, keys = [], []
    for stack, k in zip(stacks, places, strict=True):
        if not is_sorted(stack.scores):
            searched.append(k)
            # Without a sign, bit patterns are in order.
            bits = to_bits(ops.cast(stack.scores, "float32"))
            keys.append(stack.without_filling(bits, BELOW))
    found = iter(kth_largest_keys(keys, searched) if searched else ())
    return [
        by_sorting(stack.without_filling(stack.scores, -1), k)
        if is_sorted(stack.scores)
        else ops.cast(from_bits(next(found)), stack.scores.dtype)
        for stack, k in zip(stacks, places, strict=True)
    ]


def _common_threshold(stacks, q_p):
    """The same of the scores of all stacks together."""
    scores = [ops.reshape(stack.without_filling(stack.scores, -1), [-1]) for stack in stacks]
    size = np.array(sum(int(stack.sizes.sum()) for stack in stacks))
    threshold = kth_largest(ops.concatenate(scores), int32(size) - _ranks(size, q_p))
    return [
        ops.broadcast_to(ops.cast(threshold, stack.scores.dtype), stack.sizes.shape)
        for stack in stacks
    ]


def _ranks(sizes, q_p):
    """`floor((n - 1) q_p)`: the ranks, from 0, of the quantiles' lower neighbours."""
    if isinstance(q_p, (int, float)):
        return int32(np.floor((sizes - 1) * q_p))
    if backend.standardize_dtype(q_p.dtype) == "float32":
        # What is 0.95 is a little less here, and would miss a whole rank: six decimals count.
        return _ranks_of_millionths(sizes, ops.cast(ops.round(q_p * 1e6), "int32"))
    wide = ops.cast(q_p, "float64")
    return ops.cast(ops.floor(ops.convert_to_tensor(sizes - 1, "float64") * wide), "int32")


def _ranks_of_millionths(sizes, q):
    """`floor((n - 1) q / 10^6)` in int32, beyond which JAX has nothing: no product exceeds it."""
    millions, rest = np.divmod(sizes - 1, 10**6)
    high, low = map(int32, np.divmod(rest, 1000))
    q_high, q_low = q // 1000, q % 1000
    middle = high * q_low + low * q_high + low * q_low // 1000
    return int32(millions) * q + high * q_high + middle // 1000

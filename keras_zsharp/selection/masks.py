"""Masks of the gradient components whose scores exceed a quantile."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import backend, ops

from keras_zsharp.ops import from_bits, int32, to_bits
from keras_zsharp.selection.order import by_sorting, is_sorted, kth_largest
from keras_zsharp.selection.scores import deviations, is_padding
from keras_zsharp.selection.search import BELOW, kth_largest_keys
from keras_zsharp.typing import FloatTensor, Tensor

STACKED = 2**22
"""Gradients with up to so many elements together are searched together."""
PADDED = 4
"""The longest of them has at most so many times the elements of the shortest."""


def zscore_masks(gradients: list[Tensor], q_p: FloatTensor) -> list[Tensor]:
    """Masks of the elements whose absolute z-scores exceed the `q_p`-quantile of their gradient.

    `m = |g - mean(g)| > x[floor((n - 1) q_p)]` with `x = sort(|g - mean(g)|)` and `n = size(g)`.
    This is `|z| > quantile(|z|, q_p)` for `z = (g - mean(g)) / std(g)`: the standard deviation
    cancels, and with linear interpolation the lower of two neighbours never exceeds the quantile.

    Without ties `n - 1 - floor((n - 1) q_p)` elements are kept. Elements equal to the threshold are
    not kept: constant gradients and those with one element keep none. Gradients with NaN or
    infinities keep none, either. `q_p = 0` filters nothing: finite gradients are kept whole.

    Args:
        gradients: List of floating tensors of static shapes.
        q_p: float in [0, 1], or a scalar tensor. A float32 tensor is rounded to six decimals.

    Returns:
        List of boolean tensors of the gradients' shapes.
    """
    return top_masks(gradients, q_p, deviations)


def top_masks(
    gradients: list[Tensor],
    q_p: FloatTensor,
    score: Callable[[Tensor, np.ndarray], Tensor],
    common: bool = False,
) -> list[Tensor]:
    """Masks of the elements whose scores exceed the `q_p`-quantile of scores.

    Args:
        gradients: As in `zscore_masks`.
        q_p: As in `zscore_masks`.
        score: Function from a matrix, whose rows are gradients padded at the end, and their sizes
            to the matrix of their scores, >= 0.
        common: Whether there is one quantile of the scores of all gradients, or one for each.

    Returns:
        List of boolean tensors of the gradients' shapes.
    """
    if not gradients:
        return []
    groups = _groups(gradients)
    stacks = [_Stack([gradients[i] for i in members], score) for members in groups]
    masks: list[Any] = [None] * len(gradients)
    found = (_common_threshold if common else _thresholds)(stacks, q_p)
    for members, stack, thresholds in zip(groups, stacks, found, strict=True):
        thresholds = ops.where(q_p > 0, thresholds, -ops.ones_like(thresholds))
        for i, mask in zip(members, stack.masks(thresholds), strict=True):
            masks[i] = mask
    return masks


def _groups(gradients):
    """Indices of gradients to search together: a few large kernels instead of many small ones."""
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
    """Gradients as rows, padded to the longest, and their scores."""

    def __init__(self, gradients, score):
        self.shapes = [gradient.shape for gradient in gradients]
        self.sizes = np.array([math.prod(shape) for shape in self.shapes])
        longest = self.sizes.max()
        rows = [ops.reshape(gradient, [1, -1]) for gradient in gradients]
        if self.sizes.min() < longest:
            rows = [ops.pad(row, [[0, 0], [0, longest - row.shape[1]]]) for row in rows]
        rows = ops.concatenate(rows) if len(rows) > 1 else rows[0]
        self.scores = score(rows, self.sizes)

    def without_padding(self, values, lowest):
        if self.sizes.min() == self.sizes.max():
            return values
        return ops.where(is_padding(values, self.sizes), lowest, values)

    def masks(self, thresholds):
        masks = self.scores > thresholds[:, None]
        return [
            ops.reshape(masks[i, :size], shape)
            for i, (size, shape) in enumerate(zip(self.sizes, self.shapes, strict=True))
        ]


def _thresholds(stacks, q_p):
    """The scores next below the quantiles, for each row of the stacks."""
    places = [int32(stack.sizes) - _ranks(stack.sizes, q_p) for stack in stacks]
    searched, keys = [], []
    for stack, k in zip(stacks, places, strict=True):
        if not is_sorted(stack.scores):
            searched.append(k)
            # Bit patterns of numbers >= 0 have the order of the numbers.
            bits = to_bits(ops.cast(stack.scores, "float32"))
            keys.append(stack.without_padding(bits, BELOW))
    found = iter(kth_largest_keys(keys, searched) if searched else ())
    return [
        by_sorting(stack.without_padding(stack.scores, -1), k)
        if is_sorted(stack.scores)
        else ops.cast(from_bits(next(found)), stack.scores.dtype)
        for stack, k in zip(stacks, places, strict=True)
    ]


def _common_threshold(stacks, q_p):
    """The score next below the quantile of the scores of all stacks together."""
    scores = [ops.reshape(stack.without_padding(stack.scores, -1), [-1]) for stack in stacks]
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
        # 0.95 is a little less in float32, and would miss a whole rank: round to six decimals.
        return _ranks_of_millionths(sizes, ops.cast(ops.round(q_p * 1e6), "int32"))
    wide = ops.cast(q_p, "float64")
    return ops.cast(ops.floor(ops.convert_to_tensor(sizes - 1, "float64") * wide), "int32")


def _ranks_of_millionths(sizes, q):
    """`floor((n - 1) q / 10^6)` without a product beyond int32: JAX has nothing wider."""
    millions, rest = np.divmod(sizes - 1, 10**6)
    high, low = map(int32, np.divmod(rest, 1000))
    q_high, q_low = q // 1000, q % 1000
    middle = high * q_low + low * q_high + low * q_low // 1000
    return int32(millions) * q + high * q_high + middle // 1000

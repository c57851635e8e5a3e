"""Finding order statistics by ranks, in a handful of passes over the data.

A sorted sample estimates where the k-th largest key is, and the density of the keys there. Each
pass finds the rank of a pivot: the number of keys above it. Linear interpolation then moves the
pivot to the wanted rank. Each time, the number of keys in between falls to about its square root.

Once few keys are left, one more pass lists them. The keys are cut into chunks, and the list has the
key of each chunk that is nearest to the last pivot. The wanted key is read from the list. The next
rank tells whether two wanted keys were in one chunk. If so, the same is done from the other side.
Two million keys of a gradient take five passes. At ties and gaps, where interpolation stalls, the
list and halving the interval help.

One loop searches all rows together, also of different lengths: so there are few operations to trace
and to compile. All shapes are static, and XLA compiles the loop.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_zsharp.ops import (
    from_bits,
    int32,
    selected,
    selects,
    sum_true,
    to_bits,
)
from keras_zsharp.selection.sampling import guesses, padded
from keras_zsharp.typing import Tensor

BELOW, HIGHEST = -1, 2**31 - 1
"""A key below all bit patterns, and the highest bit pattern."""
CHUNK = 32
"""The size of a chunk: a number of its keys fits into int8, and XLA reduces it in one loop."""
LISTED = 128
"""The list has at most so many keys, from as many chunks."""
PLAN = [0, 0, 0, 0, 0, 1, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0]
"""What each pass does, again and again, while more keys are left than the list can have.

0 interpolates, 1 lists the nearest keys, 2 halves the interval.
"""

_SIGN = -(2**31)
_NORMAL = 0x00800000
_FARTHEST = 0x7F7FFFFF - _NORMAL
"""Distances up to this one have the order of the floats with bit patterns `_NORMAL` higher."""


def kth_largest_keys(groups: list[Tensor], ranks: list[int | Tensor]) -> list[Tensor]:
    """The k-th largest key of each row.

    Args:
        groups: List of int32 tensors of static shapes (rows, n), where rows and n may differ. They
            have the bit patterns of floats >= 0, whose order is that of the floats, and -1 for
            elements below all of them.
        ranks: List of the k of each group: int, or int32 tensor of shape () or (rows,). It is at
            least 1, and at most the number of bit patterns in the row.

    Returns:
        List of int32 tensors of shapes (rows,).
    """
    ranks = [
        ops.broadcast_to(ops.cast(k, "int32"), keys.shape[:1])
        for keys, k in zip(groups, ranks, strict=True)
    ]
    if selects():
        return list(map(selected, groups, ranks))
    search = _Search(groups, ops.concatenate(ranks))
    _, found = ops.while_loop(
        lambda step, state: ops.any(state.low < state.high - 1),
        search.narrowed,
        (ops.zeros((), "int32"), search.start),
    )
    return search.by_group(found.high)


class _State(NamedTuple):
    """What is known of each row.

    The wanted key is above `low` and not above `high`. At most `above_low` >= k keys are above
    `low`, and at least `above_high` < k keys are above `high`. `above` keys are above the last
    pivot.
    """

    low: Any
    above_low: Any
    high: Any
    above_high: Any
    pivot: Any
    above: Any


class _Search:
    """The passes, and the tensors that do not change from pass to pass."""

    def __init__(self, groups, k):
        self.k = k
        self.chunks = [_in_chunks(keys) for keys in groups]
        rows = [keys.shape[0] for keys in groups]
        # If the list had more keys, two would often share a chunk.
        listed = [min(LISTED, max(1, math.isqrt(c.shape[1]) // 2)) for c in self.chunks]
        self.listed = np.repeat(listed, rows)
        self.most = int32(self.listed)
        first, self.slope, tied = guesses(groups, k)
        # If other keys equal the pivot, the next one downwards is the bit pattern below it.
        self.slope_downwards = ops.where(tied, 0, self.slope)
        sizes = np.repeat([keys.shape[1] for keys in groups], rows).astype("int32")
        below, highest, none = (ops.full(k.shape, v, "int32") for v in (BELOW, HIGHEST, 0))
        self.start = _State(below, ops.convert_to_tensor(sizes), highest, none, first, k)

    def by_group(self, values):
        """`values` of all rows as a list with a tensor for each group."""
        ends = np.cumsum([c.shape[0] for c in self.chunks]).tolist()
        return [values[end - c.shape[0] : end] for end, c in zip(ends, self.chunks, strict=True)]

    def narrowed(self, step, state):
        """One pass: new bounds from the rank of a new pivot."""
        from_high, from_low = self.k - state.above_high, state.above_low - self.k + 1
        few = (ops.minimum(from_high, from_low) <= self.most) | (state.low == state.high - 1)
        planned = ops.take(np.array(PLAN, "int32"), step % len(PLAN))
        low, high, pivot = ops.switch(
            ops.maximum(planned, ops.cast(ops.all(few), "int32")),
            [
                lambda: (state.low, state.high, self._interpolated(step, state)),
                lambda: self._nearest(state, from_low, from_high),
                lambda: (state.low, state.high, _middle(state.low, state.high)),
            ],
        )
        # Between the bounds, or at `low` if nothing is between: then the pass changes nothing.
        pivot = ops.minimum(ops.maximum(pivot, low + 1), high - 1)
        above = self._above(pivot)
        enough = above >= self.k
        return step + 1, _State(
            low=ops.where(enough, pivot, low),
            above_low=ops.where(enough, above, state.above_low),
            high=ops.where(enough, high, pivot),
            above_high=ops.where(enough, state.above_high, above),
            pivot=pivot,
            above=above,
        )

    def _above(self, pivot):
        """The number of keys of each row above its pivot."""
        pivots = self.by_group(pivot[:, None, None])
        above = [sum_true(c > p) for c, p in zip(self.chunks, pivots, strict=True)]
        return ops.concatenate([ops.sum(ops.cast(a, "int32"), axis=-1) for a in above])

    def _interpolated(self, step, state):
        """The pivot between the bounds. Without two bounds, from the last pivot and the sample.

        A pivot with c keys above it lies between ranks c and c + 1. From pass to pass, the slope of
        the sample is multiplied by a larger factor: the sample may be wrong.
        """
        at_low, at_high = from_bits(state.low), from_bits(state.high)
        from_high, between = self.k - state.above_high, state.above_low - state.above_high
        share = (_float(from_high) - 0.5) / _float(between)
        slope = ops.where(state.above < self.k, self.slope_downwards, self.slope)
        off = slope * _float(step) * (_float(state.above - self.k) + 0.5)
        bounded = (state.low > BELOW) & (state.high < HIGHEST)
        following = ops.where(
            bounded, at_high - (at_high - at_low) * share, from_bits(state.pivot) + off
        )
        return to_bits(following)

    def _nearest(self, state, from_low, from_high):
        """Bounds and pivot from the keys next to the nearer bound, at most one of each chunk.

        The wanted key is the `from_high`-th from `high` downwards and the `from_low`-th from `low`
        upwards. At most so many chunks have a key that is as near to the bound.
        """
        down = from_high <= from_low
        wanted = ops.minimum(from_high, from_low)
        rows = (self.listed, down, ops.where(down, state.high, state.low))
        groups = zip(self.chunks, *map(self.by_group, rows), strict=True)
        place = ops.minimum(wanted, self.most)[:, None] - 1
        distances = padded([_distances(*group) for group in groups])
        distance = to_bits(ops.take_along_axis(distances, place, axis=-1)[:, 0]) - _NORMAL

        key = ops.where(down, state.high - distance, state.low + 1 + distance)
        inside = (distance < _FARTHEST) & (key > state.low) & (key <= state.high)
        known = inside & (wanted <= self.most)
        low = ops.where(known & down, key - 1, state.low)
        high = ops.where(known & ~down, key, state.high)
        return low, high, ops.where(inside, ops.where(down, key, key - 1), _middle(low, high))


def _in_chunks(keys):
    rows, size = keys.shape
    if size % CHUNK:
        keys = ops.pad(keys, [[0, 0], [0, -size % CHUNK]], constant_values=BELOW)
    return ops.reshape(keys, (rows, -1, CHUNK))


def _distances(chunks, listed, down, bound):
    """The least distances of chunks from the row's bound, in order, `_NORMAL` higher and as floats.

    A key at the bound has the distance 0 downwards. The key next to it has the distance 0 upwards.
    """
    # Distances are unsigned: keys on the other side of the bound get the largest distances.
    distances = ops.bitwise_xor(bound, _SIGN)[:, None, None] - chunks
    distances = ops.where(
        down[:, None], ops.min(distances, axis=-1), ops.bitwise_not(ops.max(distances, axis=-1))
    )
    # XLA has a fast top_k for floats alone.
    distances = ops.bitwise_xor(ops.minimum(distances, _SIGN + _FARTHEST), _SIGN)
    return -ops.top_k(-from_bits(distances + _NORMAL), int(listed[0]))[0]


def _middle(low, high):
    """The mean of two keys, whose sum may not fit into int32."""
    return ops.bitwise_and(low, high) + ops.right_shift(ops.bitwise_xor(low, high), 1)


def _float(x):
    return ops.cast(x, "float32")

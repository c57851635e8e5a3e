"""Finding order statistics by counting, in a handful of passes over the data.

A sorted sample tells about where the k-th largest key is and how densely keys lie there. Each pass
counts the keys above a pivot, which is then moved as far as the count was off, by linear
interpolation: the number of keys in between falls to about its square root every time. Once few
are left, one more pass takes them: the keys are cut into chunks, and of each chunk the one nearest
to the last pivot is kept, so that the wanted one can be read from a short list. A last count tells
whether two of them were in one chunk; then the same is done from the other side. For two million
keys of a gradient these are five passes. Ties and gaps, where interpolation stalls, are met by the
nearest keys as well, and by halving the interval.

All rows are searched together, of whatever lengths, in one loop: few operations to trace and to
compile. Everything is a function of static shapes and compiles under XLA.
"""

import math
import typing

import numpy as np
from keras import ops

from keras_zsharp.selection.bits import (
    count_true,
    from_bits,
    int32,
    selected,
    selects,
    to_bits,
)
from keras_zsharp.selection.sampling import filled, guesses

BELOW, HIGHEST = -1, 2**31 - 1
"""A key below all patterns, and the highest of them."""
CHUNK = 32
"""A count in a chunk fits into int8, and XLA reduces so many at once in one fused loop."""
LISTED = 128
"""So many keys, of as many chunks, are looked through for the wanted one."""
PLAN = [0, 0, 0, 0, 0, 1, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0]
"""What each pass does, over and over, while more keys are left than are listed.

0 interpolates, 1 lists the nearest keys, 2 halves the interval.
"""

_SIGN = -(2**31)
_NORMAL = 0x00800000
_FARTHEST = 0x7F7FFFFF - _NORMAL
"""Up to this one, distances are ordered as the normal floats of bit patterns `_NORMAL` higher."""


def kth_largest_keys(groups, ranks):
    """The k-th largest key of each row.

    Args:
        groups: List of int32 tensors of static shapes (rows, n), where rows and n may differ: bit
            patterns of floats without a sign, which are ordered as the floats are; -1 for what is
            below all of them.
        ranks: List of the k of each group, int or int32 tensor of shape () or (rows,): at least 1,
            and at most as many as there are patterns in the row.

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


class _State(typing.NamedTuple):
    """What is known of each row.

    The wanted key is above `low` and not above `high`. Of keys above them there are at most
    `above_low` >= k and at least `above_high` < k. Above the last pivot there are `above`.
    """

    low: object
    above_low: object
    high: object
    above_high: object
    pivot: object
    above: object


class _Search:
    """The passes, and what does not change from one to the next."""

    def __init__(self, groups, k):
        self.k = k
        self.chunks = [_in_chunks(keys) for keys in groups]
        rows = [keys.shape[0] for keys in groups]
        # More than so many would often share a chunk.
        listed = [min(LISTED, max(1, math.isqrt(c.shape[1]) // 2)) for c in self.chunks]
        self.listed = np.repeat(listed, rows)
        self.most = int32(self.listed)
        first, self.slope, tied = guesses(groups, k)
        # A key that many share is its own next smaller one: do not go on from it, ask for less.
        self.slope_downwards = ops.where(tied, 0, self.slope)
        sizes = np.repeat([keys.shape[1] for keys in groups], rows).astype("int32")
        below, highest, none = (ops.full(k.shape, v, "int32") for v in (BELOW, HIGHEST, 0))
        self.start = _State(below, ops.convert_to_tensor(sizes), highest, none, first, k)

    def by_group(self, values):
        """`values` of all rows as a list of those of each group."""
        ends = np.cumsum([c.shape[0] for c in self.chunks]).tolist()
        return [values[end - c.shape[0] : end] for end, c in zip(ends, self.chunks, strict=True)]

    def narrowed(self, step, state):
        """One pass: new bounds, from the count at a new pivot."""
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
        # Between the bounds, or at `low` where nothing is: a count there changes nothing.
        pivot = ops.minimum(ops.maximum(pivot, low + 1), high - 1)
        above = self._count(pivot)
        enough = above >= self.k
        return step + 1, _State(
            low=ops.where(enough, pivot, low),
            above_low=ops.where(enough, above, state.above_low),
            high=ops.where(enough, high, pivot),
            above_high=ops.where(enough, state.above_high, above),
            pivot=pivot,
            above=above,
        )

    def _count(self, pivot):
        """How many keys of each row are above its pivot."""
        pivots = self.by_group(pivot[:, None, None])
        above = [count_true(c > p) for c, p in zip(self.chunks, pivots, strict=True)]
        return ops.concatenate([ops.sum(ops.cast(a, "int32"), axis=-1) for a in above])

    def _interpolated(self, step, state):
        """The pivot between the bounds; before there are two, from the last one and the sample.

        One with c keys above it lies between ranks c and c + 1. The sample is to be trusted, but
        each time one goes farther.
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
        upwards. As many chunks have a key at most as far from there as it is, if not several.
        """
        down = from_high <= from_low
        wanted = ops.minimum(from_high, from_low)
        rows = (self.listed, down, ops.where(down, state.high, state.low))
        groups = zip(self.chunks, *map(self.by_group, rows), strict=True)
        place = ops.minimum(wanted, self.most)[:, None] - 1
        distances = filled([_distances(*group) for group in groups])
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

    0 is that of a key at the bound, going down, and of one next to it, going up.
    """
    # Distances are unsigned: keys on the other side of the bound wrap around to the farthest.
    distances = ops.bitwise_xor(bound, _SIGN)[:, None, None] - chunks
    distances = ops.where(
        down[:, None], ops.min(distances, axis=-1), ops.bitwise_not(ops.max(distances, axis=-1))
    )
    # XLA has a fast top_k for floats alone.
    distances = ops.bitwise_xor(ops.minimum(distances, _SIGN + _FARTHEST), _SIGN)
    return -ops.top_k(-from_bits(distances + _NORMAL), int(listed[0]))[0]


def _middle(low, high):
    """Their mean, whose sum might not fit into int32."""
    return ops.bitwise_and(low, high) + ops.right_shift(ops.bitwise_xor(low, high), 1)


def _float(count):
    return ops.cast(count, "float32")

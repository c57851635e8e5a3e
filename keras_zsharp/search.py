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

import numpy as np
from keras import ops

from keras_zsharp._backend import count_true, from_bits, to_bits

BELOW, HIGHEST = -1, 2**31 - 1
"""A key below all patterns, and the highest of them."""
SAMPLE = 4
"""The sample has about SAMPLE * sqrt(n) keys."""
CHUNK = 32
"""A count in a chunk fits into int8, and XLA reduces so many at once in one fused loop."""
NEAREST = 128
"""So many keys, of as many chunks, are looked through for the wanted one."""
INTERPOLATE, LIST, HALVE = 0, 1, 2
PLAN = [0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 2, 0, 1, 0, 2]
"""What each pass does, over and over, while more keys are left than can be listed."""

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
    chunks, k = [_chunks(keys) for keys in groups], ops.concatenate(ranks)
    rows = [keys.shape[0] for keys in groups]
    sizes = np.repeat([keys.shape[1] for keys in groups], rows)
    # More than so many would often share a chunk.
    listed = [min(NEAREST, max(1, math.isqrt(c.shape[1]) // 2)) for c in chunks]
    listed = np.repeat(listed, rows)
    first, slope, tied = _from_samples([_sample(keys) for keys in groups], sizes, k)
    # A key that many share is its own next smaller one: do not go on from it, but ask for less.
    slope_downwards = ops.where(tied, 0, slope)

    # The wanted key is above `low` and not above `high`. Of keys above them there are at most
    # `above_low` >= k and at least `above_high` < k; above the last pivot there are `above`.
    def body(step, low, above_low, high, above_high, pivot, above):
        from_high, from_low = k - above_high, above_low - k + 1

        def interpolate():
            # A pivot with c keys above it lies between ranks c and c + 1. Interpolate between the
            # bounds; before there are two, trust the sample, but go farther each time.
            at_low, at_high = from_bits(low), from_bits(high)
            share = (_float(from_high) - 0.5) / _float(above_low - above_high)
            between = at_high - (at_high - at_low) * share
            rate = _float(step) * ops.where(above < k, slope_downwards, slope)
            beyond = from_bits(pivot) + rate * (_float(above - k) + 0.5)
            bounded = (low > BELOW) & (high < HIGHEST)
            return low, high, to_bits(ops.where(bounded, between, beyond))

        def look_through_the_nearest():
            return _nearest(chunks, listed, low, from_low, high, from_high)

        def halve():
            return low, high, _middle(low, high)

        few = (ops.minimum(from_high, from_low) <= listed) | (low == high - 1)
        planned = ops.take(np.array(PLAN, "int32"), step % len(PLAN))
        turn = ops.maximum(planned, ops.cast(ops.all(few), "int32"))
        low, high, pivot = ops.switch(turn, [interpolate, look_through_the_nearest, halve])
        # Between the bounds, or at `low` where nothing is: a count there changes nothing.
        pivot = ops.minimum(ops.maximum(pivot, low + 1), high - 1)
        above = _count(chunks, pivot)
        enough = above >= k
        low, above_low = _choose(enough, (pivot, above), (low, above_low))
        high, above_high = _choose(enough, (high, above_high), (pivot, above))
        return step + 1, low, above_low, high, above_high, pivot, above

    def searching(step, low, above_low, high, above_high, pivot, above):
        return ops.any(low < high - 1)

    def full(value):
        return ops.full(k.shape, value, "int32")

    bounds = (full(BELOW), ops.cast(sizes, "int32"), full(HIGHEST), full(0))
    start = (ops.zeros((), "int32"), *bounds, first, k)
    return _by_group(ops.while_loop(searching, body, start)[3], chunks)


def _sample(keys):
    size = keys.shape[1]
    # An odd stride does not fall into step with a kernel's channels.
    stride = (size // min(size, SAMPLE * math.isqrt(size))) | 1
    return ops.sort(keys[:, ::stride], axis=-1)


def _from_samples(samples, sizes, k):
    """A key near each wanted one, the distance from rank to rank around it, and whether it is tied.

    The distance is one of floats.
    """
    counts = np.repeat([s.shape[1] for s in samples], [s.shape[0] for s in samples])
    widths = np.maximum(counts // 32, 1)
    place = ops.cast(_float(sizes - k) * (counts / sizes).astype("float32"), "int32")
    ones = np.ones_like(widths)
    places = place[:, None] + np.stack([0 * ones, -ones, ones, -widths, widths], -1).astype("int32")
    places = ops.clip(places, 0, (counts - 1).astype("int32")[:, None])
    found = ops.take_along_axis(_filled(samples), places, axis=-1)
    key, before, after, lower, upper = ops.unstack(found, 5, axis=-1)
    ranks = (2 * widths * sizes / counts).astype("float32")
    return key, (from_bits(upper) - from_bits(lower)) / ranks, (key == before) | (key == after)


def _filled(groups):
    """The groups' rows together, filled up at the end to the longest."""
    longest = max(rows.shape[1] for rows in groups)
    return ops.concatenate(
        [ops.pad(rows, [[0, 0], [0, longest - rows.shape[1]]]) for rows in groups]
    )


def _chunks(keys):
    rows, size = keys.shape
    if size % CHUNK:
        keys = ops.pad(keys, [[0, 0], [0, -size % CHUNK]], constant_values=BELOW)
    return ops.reshape(keys, (rows, -1, CHUNK))


def _by_group(values, chunks):
    """`values` of all rows as a list of those of each group."""
    ends = np.cumsum([c.shape[0] for c in chunks]).tolist()
    return [values[end - c.shape[0] : end] for end, c in zip(ends, chunks, strict=True)]


def _count(chunks, pivot):
    """How many keys of each row are above its pivot."""
    pivots = _by_group(pivot[:, None, None], chunks)
    above = [count_true(c > p) for c, p in zip(chunks, pivots, strict=True)]
    return ops.concatenate([ops.sum(ops.cast(a, "int32"), axis=-1) for a in above])


def _nearest(chunks, listed, low, from_low, high, from_high):
    """Bounds and pivot from the keys next to the nearer bound, at most one of each chunk.

    The wanted key is the `from_high`-th from `high` downwards and the `from_low`-th from `low`
    upwards. As many chunks have a key at most as far from there as it is, if not several.
    """
    down = from_high <= from_low
    wanted = ops.minimum(from_high, from_low)
    bounds = ops.where(down, high, low)
    lists = [
        _distances(*group)
        for group in zip(
            chunks, *(_by_group(v, chunks) for v in (listed, down, bounds)), strict=True
        )
    ]
    place = ops.minimum(wanted, listed)[:, None] - 1
    distance = to_bits(ops.take_along_axis(_filled(lists), place, axis=-1)[:, 0]) - _NORMAL

    key = ops.where(down, high - distance, low + 1 + distance)
    inside = (distance < _FARTHEST) & (key > low) & (key <= high)
    known = inside & (wanted <= listed)
    low = ops.where(known & down, key - 1, low)
    high = ops.where(known & ~down, key, high)
    return low, high, ops.where(inside, ops.where(down, key, key - 1), _middle(low, high))


def _middle(low, high):
    """Their mean, whose sum might not fit into int32."""
    return ops.bitwise_and(low, high) + ops.right_shift(ops.bitwise_xor(low, high), 1)


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


def _choose(condition, new, old):
    return tuple(ops.where(condition, n, o) for n, o in zip(new, old, strict=True))


def _float(count):
    return ops.cast(count, "float32")

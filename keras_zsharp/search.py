"""Finding an order statistic by counting, in a handful of passes over the data.

A sorted sample tells about where the k-th largest key is and how densely keys lie there. Each pass
counts the keys above a pivot, which is then moved as far as the count was off, by linear
interpolation. The number of keys between the two nearest pivots falls to about its square root
every time: for two million keys of a gradient four to seven passes do. Where interpolation stalls
(ties, gaps), it takes turns with steps to the next smaller key and with halving the interval.

Everything is a function of static shapes and compiles under XLA; rows are searched together.
"""

import math

from keras import ops

from keras_zsharp._bits import from_bits, to_bits

LOWEST, HIGHEST = -(2**31), 2**31 - 1
SAMPLE = 8
"""The sample has about SAMPLE * sqrt(n) keys."""
STEPPING, HALVING = 8, 12
"""From these passes on, interpolation takes turns."""


def kth_largest_key(keys, k):
    """The `k`-th largest of each row of `keys`.

    Args:
        keys: int32 tensor of static shape (rows, n): the bit patterns of floats, such that their
            order is that of the floats where these are positive. Other keys slow the search down.
        k: int, or int32 tensor of shape () or (rows,): `1 <= k <= n`.

    Returns:
        int32 tensor of shape (rows,).
    """
    rows, size = keys.shape
    k = ops.broadcast_to(ops.cast(k, "int32"), (rows,))
    pivot, slope, tied = _from_sample(keys, k)

    def full(value):
        return ops.full((rows,), value, "int32")

    # Of the bounds, `above_low >= k` and `above_high < k` count the keys above them.
    def body(step, low, above_low, high, above_high, pivot):
        above = _count(keys, pivot)
        enough = above >= k
        low, above_low = _choose(enough & (pivot > low), (pivot, above), (low, above_low))
        high, above_high = _choose(~enough & (pivot < high), (pivot, above), (high, above_high))
        stepping = (step >= STEPPING) & (step % 2 == 0)
        high = ops.cond(stepping, lambda: _largest_up_to(keys, high), lambda: high)

        # A pivot with c keys above it lies between ranks c and c + 1. Interpolate between the
        # bounds; before there are two, trust the sample, but go farther each time.
        at_low, at_high = from_bits(low), from_bits(high)
        share = (_float(k) - 0.5 - _float(above_high)) / _float(above_low - above_high)
        between = at_high - (at_high - at_low) * share
        beyond = from_bits(pivot) + slope * (1 + _float(step)) * (_float(above) + 0.5 - _float(k))
        bounded = (low > LOWEST) & (high < HIGHEST)
        following = to_bits(ops.where(bounded, between, beyond))

        middle = ops.bitwise_and(low, high) + ops.right_shift(ops.bitwise_xor(low, high), 1)
        usable = (following > low) & (following < high)
        halving = (step >= HALVING) & (step % 4 == 3)
        following = ops.where(usable & ~halving, following, middle)
        # A key that many share is its own next smaller one: ask for what lies below.
        following = ops.where(stepping | ((step == 0) & tied & ~enough), high - 1, following)
        return step + 1, low, above_low, high, above_high, following

    def searching(step, low, above_low, high, above_high, pivot):
        return ~ops.all((above_low == k) | (above_high == k - 1) | (low == high - 1))

    start = (ops.zeros((), "int32"), full(LOWEST), full(size), full(HIGHEST), full(0), pivot)
    _, low, above_low, high, above_high, _ = ops.while_loop(searching, body, start)
    # Exactly k keys are above `low`, or less than k above `high` and none but the wanted between.
    above = (above_low == k) & (above_high != k - 1)
    smallest = ops.cond(ops.any(above), lambda: _smallest_above(keys, low), lambda: low)
    largest = ops.cond(ops.all(above), lambda: high, lambda: _largest_up_to(keys, high))
    return ops.where(above, smallest, largest)


def _from_sample(keys, k):
    """A key near the wanted one, the distance from rank to rank around it, and whether it is tied.

    The distance is one of floats.
    """
    size = keys.shape[1]
    # An odd stride does not fall into step with a kernel's channels.
    stride = (size // min(size, SAMPLE * math.isqrt(size))) | 1
    sample = ops.sort(keys[:, ::stride], axis=-1)
    count = sample.shape[1]
    place = ops.cast(_float(size - k) * (count / size), "int32")
    width = max(count // 32, 1)

    def at(place):
        place = ops.clip(place, 0, count - 1)[:, None]
        return ops.take_along_axis(sample, place, axis=-1)[:, 0]

    distance = from_bits(at(place + width)) - from_bits(at(place - width))
    tied = (at(place) == at(place - 1)) | (at(place) == at(place + 1))
    return at(place), distance / (2 * width * size / count), tied


def _count(keys, pivot):
    return ops.sum(ops.cast(keys > pivot[:, None], "int32"), axis=-1)


def _largest_up_to(keys, high):
    return ops.max(ops.where(keys <= high[:, None], keys, LOWEST), axis=-1)


def _smallest_above(keys, low):
    return ops.min(ops.where(keys > low[:, None], keys, HIGHEST), axis=-1)


def _choose(condition, new, old):
    return tuple(ops.where(condition, n, o) for n, o in zip(new, old, strict=True))


def _float(count):
    return ops.cast(count, "float32")

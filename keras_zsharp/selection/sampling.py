"""What a small sorted sample tells about order statistics."""

import math

import numpy as np
from keras import ops

from keras_zsharp.selection.bits import from_bits, int32

SAMPLE = 4
"""Of n keys, about SAMPLE * sqrt(n) are drawn."""


def guesses(groups, k):
    """A key near each row's k-th largest, and how densely keys lie there.

    Args:
        groups: As in `search.kth_largest_keys`.
        k: int32 tensor of shape (rows,), of the rows of all groups.

    Returns:
        Tensors of shape (rows,): the key; the distance from rank to rank around it, one of floats;
        whether other keys of the sample equal it.
    """
    samples = [_sample(keys) for keys in groups]
    sizes = np.repeat([keys.shape[1] for keys in groups], [keys.shape[0] for keys in groups])
    counts = np.repeat([s.shape[1] for s in samples], [s.shape[0] for s in samples])
    widths = np.maximum(counts // 32, 1)
    place = ops.cast(int32(sizes) - k, "float32") * ops.convert_to_tensor(counts / sizes, "float32")
    ones = np.ones_like(widths)
    offsets = np.stack([0 * ones, -ones, ones, -widths, widths], axis=-1)
    places = ops.cast(place, "int32")[:, None] + int32(offsets)
    places = ops.minimum(ops.maximum(places, 0), int32(counts - 1)[:, None])
    found = ops.take_along_axis(filled(samples), places, axis=-1)
    key, before, after, lower, upper = ops.unstack(found, 5, axis=-1)
    ranks = ops.convert_to_tensor(2 * widths * sizes / counts, "float32")
    return key, (from_bits(upper) - from_bits(lower)) / ranks, (key == before) | (key == after)


def filled(groups):
    """The rows of all groups, filled up at the end to the longest."""
    longest = max(rows.shape[1] for rows in groups)
    return ops.concatenate(
        [ops.pad(rows, [[0, 0], [0, longest - rows.shape[1]]]) for rows in groups]
    )


def _sample(keys):
    size = keys.shape[1]
    # An odd stride does not fall into step with a kernel's channels.
    stride = (size // min(size, SAMPLE * math.isqrt(size))) | 1
    return ops.sort(keys[:, ::stride], axis=-1)

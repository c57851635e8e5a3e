"""Estimates of order statistics from a small sorted sample."""

from __future__ import annotations

import math

import numpy as np
from keras import ops

from keras_zsharp.ops import from_bits, int32
from keras_zsharp.typing import Tensor

SAMPLE = 4
"""A sample of n keys has about SAMPLE * sqrt(n)."""


def guesses(groups: list[Tensor], k: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A key near each row's k-th largest, and the density of the keys there.

    Args:
        groups: As in `search.kth_largest_keys`.
        k: int32 tensor of shape (rows,), for the rows of all groups.

    Returns:
        Tensors of shape (rows,): the key; the distance between the floats of neighbouring ranks
        around it; whether other keys of the sample equal it.
    """
    samples = [_sample(keys) for keys in groups]
    sizes = np.repeat([keys.shape[1] for keys in groups], [keys.shape[0] for keys in groups])
    drawn = np.repeat([s.shape[1] for s in samples], [s.shape[0] for s in samples])
    widths = np.maximum(drawn // 32, 1)
    place = ops.cast(int32(sizes) - k, "float32") * ops.convert_to_tensor(drawn / sizes, "float32")
    ones = np.ones_like(widths)
    offsets = np.stack([0 * ones, -ones, ones, -widths, widths], axis=-1)
    places = ops.cast(place, "int32")[:, None] + int32(offsets)
    places = ops.minimum(ops.maximum(places, 0), int32(drawn - 1)[:, None])
    found = ops.take_along_axis(padded(samples), places, axis=-1)
    key, before, after, lower, upper = ops.unstack(found, 5, axis=-1)
    ranks = ops.convert_to_tensor(2 * widths * sizes / drawn, "float32")
    return key, (from_bits(upper) - from_bits(lower)) / ranks, (key == before) | (key == after)


def padded(groups: list[Tensor]) -> Tensor:
    """The rows of all groups, padded at the end to the longest."""
    longest = max(rows.shape[1] for rows in groups)
    return ops.concatenate(
        [ops.pad(rows, [[0, 0], [0, longest - rows.shape[1]]]) for rows in groups]
    )


def _sample(keys):
    size = keys.shape[1]
    # An odd stride does not hit the same channels of a kernel again and again.
    stride = (size // min(size, SAMPLE * math.isqrt(size))) | 1
    return ops.sort(keys[:, ::stride], axis=-1)

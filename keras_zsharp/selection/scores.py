"""Scores by which components stand out: functions from padded rows of gradients to numbers >= 0."""

from __future__ import annotations

import numpy as np
from keras import ops

from keras_zsharp.ops import int32
from keras_zsharp.typing import Tensor


def deviations(rows: Tensor, sizes: np.ndarray) -> Tensor:
    """`|g - mean(g)|` of each row: the z-scores without their common factor."""
    mean = ops.sum(rows, axis=-1) / ops.convert_to_tensor(sizes, rows.dtype)
    return ops.abs(rows - mean[:, None])


def zscores(rows: Tensor, sizes: np.ndarray) -> Tensor:
    """`|g - mean(g)| / (std(g) + 1e-8)` of each row."""
    found = deviations(rows, sizes)
    squares = ops.where(is_padding(rows, sizes), 0, ops.square(found))
    std = ops.sqrt(ops.sum(squares, axis=-1) / ops.convert_to_tensor(sizes, rows.dtype))
    return found / (std[:, None] + 1e-8)


def magnitudes(rows: Tensor, sizes: np.ndarray) -> Tensor:
    """`|g|` of each row."""
    return ops.abs(rows)


def is_padding(rows: Tensor, sizes: np.ndarray) -> Tensor:
    """Where a row is padded: the columns behind its size."""
    return ops.arange(rows.shape[1], dtype="int32") >= int32(sizes)[:, None]

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike

from keras_zsharp.checks import count, number, one_of

Draw: TypeAlias = Literal["others", "all"]
"""The classes that a new label is drawn from: all other classes, or all classes."""

DRAWS = get_args(Draw)


def noise_share(name: str, value: float) -> float:
    """`value` as a float, after checking that it is a share in [0, 1]."""
    return number(name, value, "in [0, 1]", lambda value: 0 <= value <= 1)


def symmetric_label_noise(
    labels: ArrayLike, rate: float, classes: int, seed: int = 0, draw: Draw = "others"
) -> np.ndarray:
    """Draws a share of the labels anew, with equal probability for every class.

    Exactly `round(rate * n)` of the `n` labels are drawn.

    Args:
        labels: Integer array of shape (n,), in 0 to `classes - 1`.
        rate: Share of the labels to draw anew, in [0, 1].
        classes: Number of classes, >= 2.
        seed: Seed of the draws: int >= 0.
        draw: `"others"` draws from the other classes: every label that is drawn is wrong. `"all"`
            draws from all classes, as the released code of Friendly-SAM does. Of 10 classes, nine
            in ten labels that are drawn are then wrong: 72 % of all labels at a rate of 0.8.

    Returns:
        A copy of `labels` with the noise.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Example:

    >>> labels = np.zeros(10, int)
    >>> int((symmetric_label_noise(labels, 0.4, classes=3) != labels).sum())
    4
    """
    rate = noise_share("rate", rate)
    classes, seed = count("classes", classes, least=2), count("seed", seed)
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(
            "`labels` must be integers of shape (n,). "
            f"Received: labels of dtype {labels.dtype} and shape {labels.shape}"
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"`labels` must be in 0 to {classes - 1}. "
            f"Received: labels from {labels.min()} to {labels.max()}"
        )
    one_of("draw", draw, *DRAWS)
    shifts = label_shifts(len(labels), rate, classes, seed, draw)
    return ((labels + shifts) % classes).astype(labels.dtype)


def label_shifts(size: int, rate: float, classes: int, seed: int, draw: Draw) -> np.ndarray:
    """What the noise adds to each of `size` labels, modulo `classes`. 0 for labels that stay."""
    random = np.random.default_rng(seed)
    moved = random.choice(size, size=round(rate * size), replace=False)
    shifts = np.zeros(size, "int64")
    least = 1 if draw == "others" else 0
    shifts[moved] = random.integers(least, classes, size=len(moved))
    return shifts

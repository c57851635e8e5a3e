import numpy as np

from keras_zsharp.checks import count, number


def is_share(value):
    return 0 <= value <= 1


def symmetric_label_noise(labels, rate, classes, seed=0):
    """Moves a share of labels, each to one of the other classes with equal probability.

    Exactly `round(rate * n)` of the `n` labels move, so that every run at a rate has the same
    number of wrong ones.

    Args:
        labels: Integer array of shape (n,), in 0 to `classes - 1`.
        rate: Share of labels to move, in [0, 1].
        classes: Number of classes, at least 2.
        seed: Seed of the choice.

    Returns:
        A copy of `labels` with the noise.

    Raises:
        TypeError, ValueError: `labels` are no integers of shape (n,) in 0 to `classes - 1`; `rate`
            is outside of [0, 1], or `classes` below 2; `seed` is no int >= 0.

    >>> labels = np.zeros(10, int)
    >>> int((symmetric_label_noise(labels, 0.4, classes=3) != labels).sum())
    4
    """
    rate = number("rate", rate, "in [0, 1]", is_share)
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
    shifts = label_shifts(len(labels), rate, classes, seed)
    return ((labels + shifts) % classes).astype(labels.dtype)


def label_shifts(size, rate, classes, seed):
    """What the noise adds to each of `size` labels, modulo `classes`; 0 for those that stay."""
    random = np.random.default_rng(seed)
    moved = random.choice(size, size=round(rate * size), replace=False)
    shifts = np.zeros(size, "int64")
    shifts[moved] = random.integers(1, classes, size=len(moved))
    return shifts

import numpy as np

from keras_zsharp.checks import count, number, one_of

DRAWS = ("others", "all")
"""What a wrong label is drawn from."""


def is_share(value):
    return 0 <= value <= 1


def symmetric_label_noise(labels, rate, classes, seed=0, draw="others"):
    """Draws a share of the labels anew, with equal probability for every class.

    Exactly `round(rate * n)` of the `n` labels are drawn, so that every run at a rate has the same
    number of wrong ones where they are drawn from the others.

    Args:
        labels: Integer array of shape (n,), in 0 to `classes - 1`.
        rate: Share of labels to draw anew, in [0, 1].
        classes: Number of classes, at least 2.
        seed: Seed of the choice.
        draw: `"others"`: from the other classes, so that all of them are wrong; or `"all"`: from
            all classes, as in the released code of Friendly-SAM, so that of 10 classes nine out of
            ten are wrong: 72 % of the labels at a rate of 0.8.

    Returns:
        A copy of `labels` with the noise.

    Raises:
        TypeError, ValueError: `labels` are no integers of shape (n,) in 0 to `classes - 1`; `rate`
            is outside of [0, 1], or `classes` below 2; `seed` is no int >= 0; `draw` is another.

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
    shifts = label_shifts(len(labels), rate, classes, seed, one_of("draw", draw, *DRAWS))
    return ((labels + shifts) % classes).astype(labels.dtype)


def label_shifts(size, rate, classes, seed, draw):
    """What the noise adds to each of `size` labels, modulo `classes`; 0 for those that stay."""
    random = np.random.default_rng(seed)
    moved = random.choice(size, size=round(rate * size), replace=False)
    shifts = np.zeros(size, "int64")
    least = 1 if draw == "others" else 0
    shifts[moved] = random.integers(least, classes, size=len(moved))
    return shifts

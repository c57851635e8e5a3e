"""Exact order statistics of a tensor, and the masks made from them."""

import math

from keras import ops


def kth_largest(x, k):
    """The `k`-th largest element of `x`, duplicates counted: a scalar of `x`'s dtype.

    `k` is a Python int, `1 <= k <= size(x)`. Exact: the same bits as `sort(x)[size(x) - k]`.
    """
    values, _ = ops.top_k(ops.reshape(x, [-1]), k)
    return values[-1]


def zscore_mask(gradient, q_p):
    """Which elements of `gradient` have an absolute z-score above the `q_p`-quantile.

    `m = |g - mean(g)| > x[floor((n - 1) q_p)]` with `x = sort(|g - mean(g)|)` and `n = size(g)`,
    which is `|z| > quantile(|z|, q_p)` for `z = (g - mean(g)) / std(g)`: the standard deviation
    cancels, and linear interpolation between two neighbours never admits the lower one.

    Without ties `n - 1 - floor((n - 1) q_p)` elements are kept; elements equal to the threshold
    are not, so that constant and one-element gradients keep none.

    Args:
        gradient: Floating tensor of static shape.
        q_p: Python float in [0, 1].

    Returns:
        Boolean tensor of `gradient`'s shape.
    """
    size = math.prod(gradient.shape)
    deviation = ops.abs(gradient - ops.mean(gradient))
    threshold = kth_largest(deviation, size - math.floor((size - 1) * q_p))
    return deviation > threshold

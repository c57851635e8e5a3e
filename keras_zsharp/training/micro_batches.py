"""Splitting a batch into parts, and averaging what the two passes over each come to."""

import itertools
import typing

import keras
import tensorflow as tf


class Outcome(typing.NamedTuple):
    """What the two passes over a batch, or over a part of it, come to.

    Attributes:
        y_pred: Predictions of the clean pass.
        loss: At w.
        shifted_loss: At w + e(w).
        gradients: For the optimizer: of the second pass, scaled as it asks.
        rule_state: What the rule's variables are to become.
        finite: Whether loss and gradients at w are finite, None where that is not asked.
    """

    y_pred: object
    loss: object
    shifted_loss: object
    gradients: list
    rule_state: list
    finite: object


def size_of(x):
    """The number of examples in the (nested) inputs `x`: an int where it is static."""
    leaf = next(leaf for leaf in keras.tree.flatten(x) if leaf is not None)
    return tf.shape(leaf)[0] if leaf.shape[0] is None else leaf.shape[0]


def split(batch, count):
    """Consecutive parts of `batch` whose sizes differ by at most one.

    Args:
        batch: Nested structure of tensors, or None, with the examples along the first axis.
        count: int, the number of parts. Where a batch has fewer examples than that, some parts
            hold an example that counts in another.

    Returns:
        List of `count` pairs: how many of the part's examples count, and the part.
    """
    size = size_of(batch)
    if count == 1:
        return [(size, batch)]
    bounds = [size * i // count for i in range(count + 1)]

    def part(begin, end):
        return keras.tree.map_structure(lambda x: None if x is None else x[begin:end], batch)

    return [
        (end - begin, part(begin, tf.maximum(end, begin + 1)))
        for begin, end in itertools.pairwise(bounds)
    ]


def mean(outcomes, sizes, rule_variables):
    """One outcome out of those of the parts: as over replicas of a distributed model.

    Losses and gradients are averaged, and so is the rule's state where its variables have the
    aggregation `"mean"`; of others, such as counts, it is that of the first part.

    Args:
        outcomes: List of `Outcome`s.
        sizes: List of the parts' weights: how many examples count in each.
        rule_variables: The variables that `rule_state` belongs to.
    """
    if len(outcomes) == 1:
        return outcomes[0]
    shares = [size / sum(sizes) for size in sizes]

    def weighted(values):
        if values[0] is None:
            return None
        if isinstance(values[0], tf.IndexedSlices):
            return _weighted_slices(values, shares)
        return sum(value * tf.cast(s, value.dtype) for value, s in zip(values, shares, strict=True))

    def concatenated(*parts):
        return tf.concat([p[:size] for p, size in zip(parts, sizes, strict=True)], axis=0)

    y_pred, losses, shifted_losses, gradients, rule_states, finite = zip(*outcomes, strict=True)
    return Outcome(
        y_pred=keras.tree.map_structure(concatenated, *y_pred),
        loss=weighted(losses),
        shifted_loss=weighted(shifted_losses),
        gradients=[weighted(values) for values in zip(*gradients, strict=True)],
        rule_state=[
            weighted(values) if variable.aggregation == "mean" else values[0]
            for variable, values in zip(rule_variables, zip(*rule_states, strict=True), strict=True)
        ],
        finite=None if finite[0] is None else tf.reduce_all(finite),
    )


def _weighted_slices(slices, shares):
    """The weighted sum of sparse gradients, which stays sparse."""
    return tf.IndexedSlices(
        tf.concat([s.values * tf.cast(w, s.dtype) for s, w in zip(slices, shares, strict=True)], 0),
        tf.concat([s.indices for s in slices], axis=0),
        slices[0].dense_shape,
    )

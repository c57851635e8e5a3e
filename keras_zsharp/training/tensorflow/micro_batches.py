"""Splitting a batch into parts, and averaging what the two passes over each come to."""

import itertools

import keras
import tensorflow as tf

from keras_zsharp.training.outcome import Outcome


def size_of(x):
    """The number of examples in the (nested) inputs `x`: an int where it is static."""
    leaf = next(leaf for leaf in keras.tree.flatten(x) if leaf is not None)
    return tf.shape(leaf)[0] if leaf.shape[0] is None else leaf.shape[0]


def split(batch, count):
    """Consecutive parts of `batch` whose sizes differ by at most one.

    What has the length of the batch along its first axis is cut, and all else belongs to every
    part. That length is that of the targets or, without any, of the inputs.

    Args:
        batch: Tuple of inputs, targets and sample weights: nested structures of tensors, or None.
        count: int, the number of parts. Where a batch has fewer examples than that, some parts
            hold an example that counts in another.

    Returns:
        List of `count` pairs: how many of the part's examples count, and the part.

    Raises:
        TypeError: There is a sparse tensor, and `count` is above 1.
        ValueError: Targets, or inputs without targets, are of several lengths.
    """
    if count == 1:
        return [(size_of(batch), batch)]
    telling = _telling(batch)
    length, size = telling.shape[0], size_of(telling)
    bounds = [size * i // count for i in range(count + 1)]

    def part(begin, end):
        return keras.tree.map_structure(
            lambda x: _checked(x, size)[begin:end] if _is_cut(x, length) else x, batch
        )

    return [
        (end - begin, part(begin, tf.maximum(end, begin + 1)))
        for begin, end in itertools.pairwise(bounds)
    ]


def _telling(batch):
    """A tensor that has the batch's length."""
    leaves = [(path, x) for path, x in keras.tree.flatten_with_path(batch) if x is not None]
    sparse = [_name(path) for path, x in leaves if isinstance(x, tf.SparseTensor)]
    if sparse:
        raise TypeError(
            "`micro_batches` must be 1 for sparse tensors, which cannot be cut. "
            f"Received: a tf.SparseTensor in {', '.join(sparse)}"
        )
    leaves = [(path, x) for path, x in leaves if len(x.shape)]
    telling = [(path, x) for path, x in leaves if path[0] == 1] or leaves
    lengths = {_name(path): x.shape[0] for path, x in telling}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            "`micro_batches` must be 1 where it is not clear what the examples of a batch are: "
            f"targets, or inputs without targets, must have one length. Received: {lengths}"
        )
    _, first = telling[0]
    return first


def _name(path):
    """What the user calls it: `x['words']`."""
    first, *rest = path
    return ("x", "y", "sample_weight")[first] + "".join(f"[{key!r}]" for key in rest)


def _is_cut(x, length):
    """Whether `x` has the batch's length, or one that the graph does not know."""
    return x is not None and len(x.shape) > 0 and x.shape[0] in (None, length)


def _checked(x, size):
    if x.shape[0] is not None:
        return x
    message = "With `micro_batches` > 1, inputs must have the length of the batch or a known one."
    with tf.control_dependencies([tf.debugging.assert_equal(tf.shape(x)[0], size, message)]):
        return tf.identity(x)


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

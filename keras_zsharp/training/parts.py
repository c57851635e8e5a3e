"""Splitting a batch into parts, and averaging what the two passes over each come to."""

import itertools

import keras
from keras import ops

from keras_zsharp.keras_internals import is_overwritten
from keras_zsharp.tracing import is_sparse, with_length
from keras_zsharp.training.outcome import Outcome


def check(count, variables):
    """The scales that float8 layers find in the parts of a batch have no mean."""
    scales = [v.path for v in variables if is_overwritten(v)]
    if count > 1 and scales:
        raise ValueError(
            "`micro_batches` must be 1 for layers quantized to float8. "
            f"Received: micro_batches={count} and the scales {scales}"
        )


def size_of(x):
    """The number of examples in the (nested) inputs `x`: an int where it is static."""
    leaf = next(leaf for leaf in keras.tree.flatten(x) if leaf is not None)
    return ops.shape(leaf)[0] if leaf.shape[0] is None else leaf.shape[0]


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
        (end - begin, part(begin, _larger(end, begin + 1)))
        for begin, end in itertools.pairwise(bounds)
    ]


def _larger(one, other):
    static = isinstance(one, int)
    return max(one, other) if static else ops.maximum(one, other)


def _telling(batch):
    """A tensor that has the batch's length."""
    leaves = [(path, x) for path, x in keras.tree.flatten_with_path(batch) if x is not None]
    sparse = [_name(path) for path, x in leaves if is_sparse(x)]
    if sparse:
        raise TypeError(
            "`micro_batches` must be 1 for sparse tensors, which cannot be cut. "
            f"Received: one in {', '.join(sparse)}"
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
    return with_length(x, size, message)


def in_turn(passes, split, before, rule_variables, **options):
    """What is after the clean passes over the parts of a batch, and the mean `Outcome`.

    Args:
        passes: Function from a part and what is before it to what is after its clean pass, and its
            `Outcome`.
        split: List of pairs, as `split` gives them.
        before: What is before the first part.
        rule_variables, options: As of `mean`.
    """
    clean, outcomes = before, []
    for _, part in split:
        clean, outcome = passes(part, clean)
        outcomes.append(outcome)
    return clean, mean(outcomes, [size for size, _ in split], rule_variables, **options)


def weighted(values, shares):
    """The weighted sum of tensors."""
    return sum(v * ops.cast(share, v.dtype) for v, share in zip(values, shares, strict=True))


def mean(outcomes, sizes, rule_variables, weighted=weighted):
    """One outcome out of those of the parts: as over replicas of a distributed model.

    Losses and gradients are averaged, and so is the rule's state where its variables have the
    aggregation `"mean"`; of others, such as counts, it is that of the first part.

    Args:
        outcomes: List of `Outcome`s.
        sizes: List of the parts' weights: how many examples count in each.
        rule_variables: The variables that `rule_state` belongs to.
        weighted: Function from values of the parts and their shares to the weighted sum.
    """
    if len(outcomes) == 1:
        return outcomes[0]
    shares = [size / sum(sizes) for size in sizes]

    def mean_of(values):
        return None if values[0] is None else weighted(values, shares)

    def concatenated(*parts):
        return ops.concatenate([p[:size] for p, size in zip(parts, sizes, strict=True)])

    y_pred, losses, shifted_losses, gradients, rule_states, finite = zip(*outcomes, strict=True)
    return Outcome(
        y_pred=keras.tree.map_structure(concatenated, *y_pred),
        loss=mean_of(losses),
        shifted_loss=mean_of(shifted_losses),
        gradients=[mean_of(values) for values in zip(*gradients, strict=True)],
        rule_state=[
            mean_of(values) if variable.aggregation == "mean" else values[0]
            for variable, values in zip(rule_variables, zip(*rule_states, strict=True), strict=True)
        ],
        finite=None if finite[0] is None else ops.all(ops.stack(finite)),
    )

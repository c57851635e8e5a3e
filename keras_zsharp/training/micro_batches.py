"""Splitting a batch into micro-batches, and averaging the results of their passes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_zsharp.backend.passes import Outcome, Passes
from keras_zsharp.keras_internals import calling, optimizers
from keras_zsharp.ops import is_sparse, size_of, with_length
from keras_zsharp.typing import Batch, Nested


def check(cut: str | None, variables: Sequence[Any]) -> None:
    """Refuses float8 layers in parts of a batch: the scales that they find there have no mean.

    Args:
        cut: The option that cuts a batch, or None.
        variables: The trainable variables.
    """
    scales = [v.path for v in variables if optimizers.is_overwritten(v)]
    if cut and scales:
        raise ValueError(
            f"`{cut.partition('=')[0]}` must be 1 for layers quantized to float8, whose scales "
            f"have no mean. Received: {cut} and the scales {scales}"
        )


def split(batch: Batch, micro_batches: int, are_cut: Nested = None) -> list[tuple[Any, Batch]]:
    """Splits a batch into micro-batches of consecutive examples. Their sizes differ by one at most.

    Args:
        batch: Tuple of inputs, targets and sample weights: nested structures of tensors, or None.
        micro_batches: int, the number of micro-batches. If a batch has fewer examples, some
            micro-batches hold an example of another and have the weight 0.
        are_cut: The structure of `batch`, with a bool for each tensor: whether it is cut, or goes
            to every micro-batch. None cuts all.

    Returns:
        List of pairs: the weight of a micro-batch, which is its number of examples, and the
        micro-batch.

    Raises:
        TypeError: There is a sparse tensor, and `micro_batches` is above 1.
    """
    if micro_batches == 1:
        return [(size_of(batch), batch)]
    size, cut = cutting(batch, are_cut)
    return [
        (end - begin, cut([(begin, _larger(end, begin + 1))]))
        for begin, end in bounds(size, micro_batches)
    ]


def bounds(size: Any, parts: int) -> list[tuple[Any, Any]]:
    """The bounds of consecutive parts, whose sizes differ by one at most.

    Args:
        size: Number of examples, an int or a scalar tensor.
        parts: int, the number of parts.
    """
    return list(itertools.pairwise(size * i // parts for i in range(parts + 1)))


def cutting(
    batch: Batch, are_cut: Nested = None, option: str = "`micro_batches`"
) -> tuple[Any, Callable[[list[tuple[Any, Any]]], Batch]]:
    """The number of examples in a batch, and a function that takes those within bounds.

    Args:
        batch: Tuple of inputs, targets and sample weights: nested structures of tensors, or None.
        are_cut: As in `split`.
        option: The option that cuts the batch, for the message.

    Raises:
        TypeError: There is a sparse tensor.
    """
    if are_cut is None:
        are_cut = keras.tree.map_structure(lambda x: x is not None, batch)
    _check_dense(batch, option)
    pairs = zip(keras.tree.flatten(batch), keras.tree.flatten(are_cut), strict=True)
    cut_tensors = [x for x, is_cut in pairs if is_cut]
    measured = next((x for x in cut_tensors if x.shape[0] is not None), cut_tensors[0])
    size = size_of(measured)

    def of_tensor(x, within):
        pieces = [_of_length(x, size, measured)[begin:end] for begin, end in within]
        return pieces[0] if len(pieces) == 1 else ops.concatenate(pieces)

    def cut(within):
        return keras.tree.map_structure(
            lambda x, is_cut: of_tensor(x, within) if is_cut else x, batch, are_cut
        )

    return size, cut


def _larger(one, other):
    static = isinstance(one, int)
    return max(one, other) if static else ops.maximum(one, other)


def _check_dense(batch, option):
    leaves = keras.tree.flatten_with_path(batch)
    sparse = [name(path) for path, x in leaves if x is not None and is_sparse(x)]
    if sparse:
        raise TypeError(
            f"{option} must be 1 for sparse tensors, which cannot be cut. "
            f"Received: one in {', '.join(sparse)}"
        )


def name(path: Sequence[Any]) -> str:
    """The user's name of a tensor of a batch: `x['words']`."""
    first, *rest = path
    return ("x", "y", "sample_weight")[first] + "".join(f"[{key!r}]" for key in rest)


def _of_length(x, size, measured):
    """`x`. If the graph does not know its length, TensorFlow checks it when it runs."""
    if x is measured or x.shape[0] is not None:
        return x
    message = "`batched_inputs` must name inputs that have an example in each row of the batch."
    return with_length(x, size, message)


def in_turn(
    passes: Passes,
    take: Callable[..., tuple[Any, Outcome]],
    split: list[tuple[Any, Batch]],
) -> tuple[Any, Outcome]:
    """Takes the passes over one micro-batch after the other.

    Args:
        passes: The passes of the step.
        take: Function from a micro-batch and the state before it to the state after its clean pass
            and its `Outcome`.
        split: List of pairs, as `split` returns them.

    Returns:
        The state after the clean passes, and the mean `Outcome`.
    """
    sizes, batches = zip(*split, strict=True)
    if passes.loops and len(split) > 1 and len(set(sizes)) == 1:
        return passes.looped(take, batches, passes.start)
    clean, outcomes = passes.start, []
    for micro_batch in batches:
        clean, outcome = take(micro_batch, clean)
        outcomes.append(outcome)
    return clean, mean(passes, outcomes, sizes)


def mean(passes: Passes, outcomes: list[Outcome], sizes: Sequence[Any]) -> Outcome:
    """The mean of the micro-batches' outcomes, as over the replicas of a distributed model.

    Losses and gradients are averaged. So is the rule's state for variables with the aggregation
    `"mean"`. Any other variable of the rule, such as a seed, has the state that the
    first micro-batch gives it.

    Args:
        passes: The passes of the step.
        outcomes: List of `Outcome`s.
        sizes: The micro-batches' numbers of examples.
    """
    if len(outcomes) == 1:
        return outcomes[0]
    weights = [size / sum(sizes) for size in sizes]

    def mean_of(values):
        return None if values[0] is None else passes.weighted(values, weights)

    def joined(parts):
        return ops.concatenate([p[:size] for p, size in zip(parts, sizes, strict=True)])

    def concatenated(*predictions):
        if predictions[0] is None:
            return None
        masks = list(map(calling.mask_of, predictions))
        mask = None if any(m is None for m in masks) else joined(masks)
        return calling.with_mask(joined(predictions), mask)

    y_pred, losses, shifted_losses, gradients, rule_states, finite = zip(*outcomes, strict=True)
    _check_same_weights(passes.variables, gradients)
    return Outcome(
        y_pred=keras.tree.map_structure(concatenated, *y_pred),
        loss=mean_of(losses),
        shifted_loss=mean_of(shifted_losses),
        gradients=[mean_of(values) for values in zip(*gradients, strict=True)],
        rule_state=[
            mean_of(values) if variable.aggregation == "mean" else values[0]
            for variable, values in zip(
                passes.model.rule.variables, zip(*rule_states, strict=True), strict=True
            )
        ],
        finite=None if finite[0] is None else ops.all(ops.stack(finite)),
    )


def _check_same_weights(variables, gradients):
    """Refuses what is computed from the weights in one micro-batch and used in the next."""
    missing = [
        {v.path for v, g in zip(variables, of, strict=True) if g is None} for of in gradients
    ]
    some = set.union(*missing) - set.intersection(*missing)
    if some:
        raise ValueError(
            "The losses of all micro-batches must depend on the same weights: a layer or loss must "
            "not keep tensors from one call to the next. Take whole batches: `micro_batches=1`. "
            f"Received: weights on which some do not depend, {sorted(some)}"
        )

"""The examples of a batch from which a step takes the ascent gradients: `ascent_fraction`."""

from __future__ import annotations

import functools

from keras import ops

from keras_zsharp.backend.passes import Passes
from keras_zsharp.checks import ROUNDING, rounded_up
from keras_zsharp.rules import Rule
from keras_zsharp.training import gradients, micro_batches
from keras_zsharp.typing import Batch, Nested, Tensor


def check(rule: Rule, fraction: float) -> None:
    """Refuses a rule for which the gradients at w are more than a direction.

    Args:
        rule: The rule of a model.
        fraction: Its `ascent_fraction`.

    Raises:
        ValueError: The fraction is below 1, and the rule takes one pass, or combines the gradients
            at w, of a part of the batch, with those at w + e.
    """
    name, why = type(rule).__name__, None
    if rule.reads != "gradients":
        why = f"{name} takes one pass, over the whole batch"
    elif gradients.changes_descent(rule):
        why = f"{name} combines the gradients of both passes for the optimizer"
    if why and fraction < 1:
        raise ValueError(
            "`ascent_fraction` must be 1 for a rule that uses the gradients at w for more than the "
            f"perturbation. Received: ascent_fraction={fraction}, and {why}"
        )


def part(passes: Passes, batch: Batch, are_cut: Nested, perturbing: bool | Tensor) -> Batch:
    """The examples of the clean pass over a batch or a micro-batch: all, in a plain step.

    Args:
        passes: The passes of the step.
        batch: Tuple of inputs, targets and sample weights.
        are_cut: The structure of `batch`, with a bool for each tensor: whether it is cut.
        perturbing: Whether the step perturbs: a bool, or a boolean scalar tensor.
    """
    alone = passes.model.micro_batches == 1
    return _first(passes, batch, are_cut, perturbing, passes.shares if alone else 1, 1)


def of_clean_passes(
    passes: Passes, batch: Batch, are_cut: Nested, perturbing: bool | Tensor
) -> Batch:
    """The examples of all clean passes of a step, in their order: those that the logs show."""
    model = passes.model
    each = passes.cuts_shares and model.perturbation_sync == "replica"
    shares = model.count_devices() if each else passes.shares
    whole = not each and model.micro_batches > 1
    return _first(passes, batch, are_cut, perturbing, 1 if whole else shares, model.micro_batches)


def _first(passes, batch, are_cut, perturbing, shares, parts):
    """The first examples of each micro-batch of each device's share, joined."""
    fraction = passes.model.ascent_fraction
    if fraction == 1 or perturbing is False:
        return batch
    if perturbing is not True and not passes.cuts_at_run_time:
        raise ValueError(
            "`ascent_fraction` must be 1 where one compiled program has plain steps and others: "
            "their passes differ in size. Perturb in every step, or compile the model with "
            "`jit_compile=False` on TensorFlow, with `steps_per_execution=1` on JAX. "
            f"Received: ascent_fraction={fraction}, perturb_every={passes.model.perturb_every}, "
            f"perturb_from={passes.model.perturb_from} and {passes.model.rule}"
        )
    size, cut = micro_batches.cutting(batch, are_cut, "`ascent_fraction`")
    if not isinstance(size, int) or size % shares:
        shares = 1
    bounds = [
        (begin + b, begin + e)
        for begin, end in micro_batches.bounds(size, shares)
        for b, e in micro_batches.bounds(end - begin, parts)
    ]
    length = functools.partial(_length, fraction, perturbing)
    return cut([(begin, begin + length(end - begin)) for begin, end in bounds])


def _length(fraction, perturbing, size):
    """ceil(fraction * size), at least 1, in a step that perturbs, or else the size."""
    if isinstance(size, int) and perturbing is True:
        return max(1, rounded_up(fraction * size))
    product = fraction * ops.cast(size, "float64") - ROUNDING
    length = ops.maximum(ops.cast(ops.ceil(product), "int32"), 1)
    return ops.where(perturbing, length, ops.cast(size, "int32"))

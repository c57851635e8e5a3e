"""The micro-batches of a batch in a loop of the compiled step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keras_zsharp import outside
from keras_zsharp.backend.jax import devices
from keras_zsharp.backend.passes import Outcome
from keras_zsharp.typing import Batch


def looped(
    model: Any,
    take: Callable[..., tuple[Any, Outcome]],
    batches: Sequence[Batch],
    before: Any,
) -> tuple[Any, Outcome]:
    """Takes the passes over one micro-batch after the other, all of one size.

    The loop holds the passes over one of them and one sum of the gradients. On a CPU it is
    unrolled: XLA runs convolutions in the body of a loop many times slower there.

    Args:
        model: The model.
        take: Function from a micro-batch and the state before it to the state after its clean pass
            and its `Outcome`.
        batches: The micro-batches.
        before: The `State` before the step.

    Returns:
        The `State` after the clean passes, and the mean `Outcome`.
    """
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches)
    with outside.put_back(model):
        _, shapes = jax.eval_shape(take, batches[0], before)
    nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes._replace(y_pred=None))
    if nothing.finite is not None:
        nothing = nothing._replace(finite=jnp.array(True))
    averaged = [variable.aggregation == "mean" for variable in model.rule.variables]

    def add(total, value):
        return total + value / len(batches)

    def one_more(before, micro_batch):
        clean, total, index = before
        new, outcome = take(micro_batch, clean)
        new = jax.tree.map(lambda n, o: jnp.asarray(n, o.dtype), new, clean)
        rule_state = [
            add(old, value) if mean else jnp.where(index == 0, value, old)
            for mean, old, value in zip(averaged, total.rule_state, outcome.rule_state, strict=True)
        ]
        finite = None if outcome.finite is None else total.finite & outcome.finite
        added = jax.tree.map(
            add,
            total._replace(rule_state=None, finite=None),
            outcome._replace(y_pred=None, rule_state=None, finite=None),
        )
        total = added._replace(rule_state=rule_state, finite=finite)
        return (new, total, index + 1), outcome.y_pred

    start = before, nothing, 0
    (clean, total, _), y_pred = jax.lax.scan(one_more, start, stacked, unroll=devices.on_cpu())
    y_pred = jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:]), y_pred)
    return clean, total._replace(y_pred=y_pred)

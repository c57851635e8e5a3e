"""The parts of a batch, one after the other."""

import jax
import jax.numpy as jnp

from keras_zsharp.training import parts
from keras_zsharp.training.jax import devices


def in_turn(passes, split, given, rule_variables):
    """The state after the clean passes over the parts of a batch, and the mean `Outcome`.

    Parts of one size are a loop of the compiled step: it holds the passes over one, whatever their
    number, and one sum of the gradients. On a CPU the loop is unrolled: XLA runs convolutions in a
    loop's body many times slower there. Parts of other sizes, and those of a step that runs
    eagerly, follow each other.

    Args:
        passes: Function from a part and the state before it to the state after its clean pass and
            its `Outcome`.
        split: List of pairs, as `parts.split` gives them.
        given: The `State` before the step.
        rule_variables: The variables that an outcome's `rule_state` belongs to.
    """
    sizes, batches = zip(*split, strict=True)
    compiled = isinstance(given.weights[0], jax.core.Tracer)
    if compiled and len(split) > 1 and len(set(sizes)) == 1:
        return _looped(passes, batches, given, rule_variables)
    return parts.in_turn(passes, split, given, rule_variables)


def _looped(passes, batches, given, rule_variables):
    count = len(batches)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches)
    _, shapes = jax.eval_shape(passes, batches[0], given)
    nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes._replace(y_pred=None))
    if nothing.finite is not None:
        nothing = nothing._replace(finite=jnp.array(True))
    averaged = [variable.aggregation == "mean" for variable in rule_variables]

    def add(total, value):
        return total + value / count

    def one_more(before, part):
        clean, total, index = before
        new, outcome = passes(part, clean)
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

    start = given, nothing, 0
    (clean, total, _), y_pred = jax.lax.scan(one_more, start, stacked, unroll=devices.on_cpu())
    y_pred = jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:]), y_pred)
    return clean, total._replace(y_pred=y_pred)

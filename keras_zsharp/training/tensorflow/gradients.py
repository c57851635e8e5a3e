"""Gradients on TensorFlow, which may be sparse, and those of several replicas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_zsharp.perturbations.operators import each
from keras_zsharp.training import gradients as gradients_of
from keras_zsharp.training import micro_batches
from keras_zsharp.typing import FloatTensor, Gradients, Tensor


def dense_unscaled(
    gradients: Gradients, variables: Sequence[Any], scale: FloatTensor, sync: str | None
) -> Gradients:
    """Dense gradients of the loss itself, of this replica's share of the batch or of the batch.

    Keras divides the loss of a replica by the number of replicas. This is undone.

    Args:
        gradients: Gradients of the clean pass with the loss scale. They may be sparse or None.
        variables: The trainable variables.
        scale: The loss scale.
        sync: `perturbation_sync`: the gradients are those of the batch if it is "global".
    """
    replicas = tf.distribute.get_replica_context()
    if replicas is not None:
        scale /= replicas.num_replicas_in_sync
    return gradients_of.unscaled(_shared(_dense(gradients, variables), sync), scale)


def descent(
    rule: Any,
    step: Tensor,
    passes: tuple[Gradients, Gradients],
    variables: list[Any],
    rule_state: list[Tensor],
    perturbing: bool | Tensor,
    sync: str | None,
) -> tuple[list[Any], list[Tensor]]:
    """`training.gradients.descent`. With `sync="global"` the rule gets the replicas' mean."""

    def prepare(gradients):
        return _shared(_dense(gradients, variables), sync)

    given = rule, step, passes, variables, rule_state, perturbing
    return gradients_of.descent(*given, either, prepare)


def either(condition: bool | Tensor, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
    """The result of one of two functions: a branch of the graph unless `condition is True`."""
    return yes() if condition is True else tf.cond(condition, yes, no)


def weighted(values: Sequence[Any], weights: Sequence[Any]) -> Any:
    """`micro_batches.weighted`, which leaves sparse gradients sparse."""
    if not isinstance(values[0], tf.IndexedSlices):
        return micro_batches.weighted(values, weights)
    pairs = zip(values, weights, strict=True)
    return tf.IndexedSlices(
        tf.concat([s.values * tf.cast(w, s.dtype) for s, w in pairs], axis=0),
        tf.concat([s.indices for s in values], axis=0),
        values[0].dense_shape,
    )


def _dense(gradients, variables):
    def dense(gradient, variable):
        gradient = tf.convert_to_tensor(gradient)
        # In a graph, the shape of a kernel's gradient is unknown if that of the inputs is.
        gradient.set_shape(variable.shape)
        return gradient

    return each(dense, gradients, variables)


def _shared(gradients, sync):
    """Dense gradients, or their mean over the replicas if `sync` is "global"."""
    replicas = tf.distribute.get_replica_context()
    if replicas is None or replicas.num_replicas_in_sync == 1 or sync != "global":
        return gradients
    given = [g for g in gradients if g is not None]
    means = iter(replicas.all_reduce(tf.distribute.ReduceOp.MEAN, given))
    return each(lambda _: next(means), gradients)

"""Gradients on TensorFlow, which may be sparse, and those of several replicas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_zsharp.backend import passes
from keras_zsharp.ops import each
from keras_zsharp.typing import Gradients


def dense(gradients: Gradients, variables: Sequence[Any], sync: str | None) -> Gradients:
    """Dense gradients, of this replica's share of the batch or of the batch.

    Args:
        gradients: Gradients that may be sparse or None.
        variables: The trainable variables.
        sync: `perturbation_sync`: the gradients are the replicas' mean if it is "global".
    """

    def densified(gradient, variable):
        gradient = tf.convert_to_tensor(gradient)
        # In a graph, the shape of a kernel's gradient is unknown if that of the inputs is.
        gradient.set_shape(variable.shape)
        return gradient

    gradients = each(densified, gradients, variables)
    replicas = tf.distribute.get_replica_context()
    if replicas is None or replicas.num_replicas_in_sync == 1 or sync != "global":
        return gradients
    shares = [g for g in gradients if g is not None]
    means = iter(replicas.all_reduce(tf.distribute.ReduceOp.MEAN, shares))
    return each(lambda _: next(means), gradients)


def unscaled(gradients: Gradients, optimizer: Any) -> Gradients:
    """Dense gradients of the loss itself, without the optimizer's loss scale.

    Keras divides the loss of a replica by the number of replicas. This is undone.
    """
    scale = optimizer.scale_loss(1.0)
    replicas = tf.distribute.get_replica_context()
    if replicas is not None:
        scale /= replicas.num_replicas_in_sync
    return passes.unscaled(gradients, scale)


def weighted(values: Sequence[Any], weights: Sequence[Any]) -> Any:
    """`passes.weighted`, which leaves sparse gradients sparse."""
    if not isinstance(values[0], tf.IndexedSlices):
        return passes.weighted(values, weights)
    pairs = zip(values, weights, strict=True)
    return tf.IndexedSlices(
        tf.concat([s.values * tf.cast(w, s.dtype) for s, w in pairs], axis=0),
        tf.concat([s.indices for s in values], axis=0),
        values[0].dense_shape,
    )

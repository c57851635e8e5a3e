"""Gradients as TensorFlow finds them: sparse ones, and those of several replicas."""

import tensorflow as tf

from keras_zsharp.perturbations.operators import each
from keras_zsharp.training import gradients as gradients_of
from keras_zsharp.training import parts


def ascent(gradients, variables, scale, sync):
    """Dense gradients of the loss itself, of this replica's part of the batch or of all of it.

    Of the loss, a replica has but its share.

    Args:
        gradients: Of the clean pass, scaled, maybe sparse, None where there is none.
        variables: The trainable variables.
        scale: What the loss was multiplied by.
        sync: `perturbation_sync`: "global", or else of this replica's part.
    """
    replicas = tf.distribute.get_replica_context()
    if replicas is not None:
        scale /= replicas.num_replicas_in_sync
    return gradients_of.unscaled(_shared(_dense(gradients, variables), sync), scale)


def descent(rule, passes, variables, rule_state, perturbing, sync):
    """As for every backend, the rule's of all replicas where these perturb as one."""

    def prepare(gradients):
        return _shared(_dense(gradients, variables), sync)

    return gradients_of.descent(rule, passes, variables, rule_state, perturbing, either, prepare)


def either(condition, yes, no):
    """What one of two functions gives: a branch of the graph, but where it is known beforehand."""
    return yes() if condition is True else tf.cond(condition, yes, no)


def weighted(values, shares):
    """`parts.weighted`, which leaves sparse gradients sparse."""
    if not isinstance(values[0], tf.IndexedSlices):
        return parts.weighted(values, shares)
    return tf.IndexedSlices(
        tf.concat([s.values * tf.cast(w, s.dtype) for s, w in zip(values, shares, strict=True)], 0),
        tf.concat([s.indices for s in values], axis=0),
        values[0].dense_shape,
    )


def _dense(gradients, variables):
    def dense(gradient, variable):
        gradient = tf.convert_to_tensor(gradient)
        # In a graph, the gradient of a kernel lacks the shape that the layer's inputs lack.
        gradient.set_shape(variable.shape)
        return gradient

    return each(dense, gradients, variables)


def _shared(gradients, sync):
    """Dense gradients, or their mean over the replicas where these perturb as one."""
    replicas = tf.distribute.get_replica_context()
    alone = replicas is None or replicas.num_replicas_in_sync == 1
    if alone or sync != "global":
        return gradients
    given = [g for g in gradients if g is not None]
    means = iter(replicas.all_reduce(tf.distribute.ReduceOp.MEAN, given))
    return each(lambda _: next(means), gradients)

"""What the rule and the optimizer are given of the gradients that the passes find."""

import tensorflow as tf

from keras_zsharp.perturbations import Perturbation
from keras_zsharp.perturbations.operators import each
from keras_zsharp.perturbations.variables import is_overwritten


def ascent(gradients, variables, scale, sync):
    """Dense gradients of the loss itself, of this replica's part of the batch or of all of it.

    A rule's average is not scale-invariant. Of the loss, a replica has but its share.

    Args:
        gradients: Of the clean pass, scaled, maybe sparse, None where there is none.
        variables: The trainable variables.
        scale: What the loss was multiplied by.
        sync: `perturbation_sync`, "replica" or "global".
    """
    gradients = _shared(_dense(gradients, variables), sync)
    replicas = tf.distribute.get_replica_context()
    if replicas is not None:
        scale /= replicas.num_replicas_in_sync
    if isinstance(scale, float) and scale == 1.0:
        return gradients
    return each(lambda g: g / tf.cast(scale, g.dtype), gradients)


def descent(rule, gradients, shifted_gradients, variables, sync):
    """What the optimizer is given, scaled as it asks; of float8 scales, those at w."""
    result = shifted_gradients
    if type(rule).descent is not Perturbation.descent:
        pair = (_dense(g, variables) for g in (gradients, shifted_gradients))
        result = rule.descent(*(_shared(g, sync) for g in pair))
    return [
        first if is_overwritten(v) else second
        for v, first, second in zip(variables, gradients, result, strict=True)
    ]


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
    if alone or sync == "replica":
        return gradients
    given = [g for g in gradients if g is not None]
    means = iter(replicas.all_reduce(tf.distribute.ReduceOp.MEAN, given))
    return each(lambda _: next(means), gradients)

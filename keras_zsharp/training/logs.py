"""What a step logs: the clean pass, and the sharpness."""

from keras import ops

from keras_zsharp import keras_internals
from keras_zsharp.training import parts


def updated(model, batch, outcome, perturbing):
    """The logs, after the metrics have seen a step.

    Args:
        model: A sharpness-aware model.
        batch: Tuple of inputs, targets and sample weights.
        outcome: The step's `Outcome`.
        perturbing: Whether the step has perturbed: a bool, or such a scalar tensor.
    """
    x, y, sample_weight = batch
    size = parts.size_of(x)
    loss = keras_internals.unscale_loss(outcome.loss)
    sharpness = keras_internals.unscale_loss(outcome.shifted_loss) - loss
    keras_internals.loss_tracker(model).update_state(loss, sample_weight=size)
    counts = perturbing
    if outcome.finite is not None:
        counts &= outcome.finite
        sharpness = ops.where(outcome.finite, sharpness, ops.zeros_like(sharpness))
    model.sharpness_tracker.update_state(sharpness, sample_weight=size * ops.cast(counts, "int32"))
    return model.compute_metrics(x, y, outcome.y_pred, sample_weight=sample_weight)

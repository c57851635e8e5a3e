"""Skipping a step as a whole if its loss or gradients are not finite."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_zsharp.backend.passes import kept_scale
from keras_zsharp.typing import Gradients, Tensor


def all_finite(loss: Tensor, gradients: Gradients) -> Tensor:
    """Whether loss and gradients have no infinity and no NaN: a boolean scalar."""
    values: list[Any] = [g.values if isinstance(g, tf.IndexedSlices) else g for g in gradients]
    values = [loss, *(v for v in values if v is not None)]
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(value)) for value in values])


def on_all_replicas(finite: Tensor) -> Tensor:
    """Whether `finite` is true on all replicas: they skip a step together or not at all."""
    replicas = tf.distribute.get_replica_context()
    if replicas is None or replicas.num_replicas_in_sync == 1:
        return finite
    failed = tf.cast(~finite, "int32")
    return replicas.all_reduce(tf.distribute.ReduceOp.SUM, failed) == 0


def apply(
    optimizer: Any, gradients: Gradients, variables: Sequence[Any], finite: Tensor | None
) -> None:
    """`optimizer.apply_gradients`, unless `finite` is false: then a loss scale alone changes."""
    if finite is None:
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
    elif isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        with _scale_kept(optimizer):
            gradients = _poisoned(gradients, finite)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
    else:
        _apply_if(finite, optimizer, gradients, variables)


def _poisoned(gradients: Sequence[Any], finite: Tensor) -> list[Any]:
    """The gradients. Unless `finite`, one of them is NaN, which a `LossScaleOptimizer` notices."""
    sizes = {i: g.shape.num_elements() or 0 for i, g in enumerate(gradients) if g is not None}
    smallest = min((i for i in sizes if sizes[i]), key=lambda i: sizes[i], default=None)
    nothing = tf.where(finite, 0.0, float("nan"))

    def poison(gradient):
        if isinstance(gradient, tf.IndexedSlices):
            values = gradient.values + tf.cast(nothing, gradient.dtype)
            return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
        return gradient + tf.cast(nothing, gradient.dtype)

    return [poison(g) if i == smallest else g for i, g in enumerate(gradients)]


@contextlib.contextmanager
def _scale_kept(optimizer: Any) -> Iterator[None]:
    """Encloses a step of a `LossScaleOptimizer`, whose scale stays large enough to recover."""
    before = tf.identity(optimizer.dynamic_scale.value)
    yield

    def keep(strategy, before):
        [first, *_] = strategy.experimental_local_results(before)
        optimizer.dynamic_scale.assign(kept_scale(first, optimizer.dynamic_scale))

    # The replicas share the scale.
    tf.distribute.get_replica_context().merge_call(keep, args=(before,))


def _apply_if(
    finite: Tensor,
    optimizer: Any,
    gradients: Gradients,
    variables: Sequence[Any],
) -> None:
    """`optimizer.apply_gradients` if `finite`."""

    def apply():
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    if not tf.distribute.has_strategy():
        tf.cond(finite, apply, lambda: None)
        return

    def across_replicas(strategy, finite, gradients, variables):
        # Optimizers merge replicas, and a branch in a replica must not.
        def apply():
            strategy.extended.call_for_each_replica(
                lambda g, v: optimizer.apply_gradients(zip(g, v, strict=True)),
                args=(gradients, variables),
            )

        tf.cond(strategy.experimental_local_results(finite)[0], apply, lambda: None)

    tf.distribute.get_replica_context().merge_call(
        across_replicas, args=(finite, gradients, variables)
    )

"""Several devices, as `keras.distribution` has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
from jax.sharding import PartitionSpec

from keras_zsharp.backend.passes import Outcome
from keras_zsharp.keras_internals import tracking
from keras_zsharp.typing import Batch, Nested, Tensor


def count_devices() -> int:
    """The number of devices that share a batch, or the weights."""
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else distribution.device_mesh.devices.size


def count_shares() -> int:
    """The number of devices, or groups of them, that have an equal share of each batch."""
    distribution: Any = keras.distribution.distribution()
    if distribution is None:
        return 1
    mesh = distribution.device_mesh
    return dict(zip(mesh.axis_names, mesh.shape, strict=True))[distribution.batch_dim_name]


def on_cpu() -> bool:
    """Whether the step runs on a CPU, where XLA compiles loops and branches to slow code."""
    return jax.default_backend() == "cpu"


def check_devices(model: Any) -> None:
    """Checks that each device has all weights if each is to compute its own perturbation."""
    distribution, devices = keras.distribution.distribution(), count_devices()
    whole = isinstance(distribution, keras.distribution.DataParallel)
    if devices > 1 and model.perturbation_sync == "replica" and not whole:
        raise ValueError(
            '`perturbation_sync` must be None or "global" under a '
            f"`{type(distribution).__name__}`, whose devices share the weights. "
            f"Received: 'replica' and {devices} devices"
        )


def on_each(
    model: Any,
    passes: Callable[..., tuple[Any, Outcome]],
    batch: Batch,
    are_cut: Nested,
    before: Any,
    perturbing: bool | Tensor,
) -> tuple[Any, Outcome]:
    """Takes the passes over each device's share of the batch, and averages the results.

    Outcomes are averaged as over micro-batches. Variables that the clean pass assigns, such as
    BatchNormalization's statistics, are averaged as under `tf.distribute`, unless their
    `aggregation` says otherwise. Each device has its own seeds.

    Args:
        model: The sharpness-aware model.
        passes: Function from `batch`, `before` and `perturbing` to a `State` and an `Outcome`.
        batch: Tuple of inputs, targets and sample weights.
        are_cut: The structure of `batch`, with a bool for each tensor: whether it is split over the
            devices, or goes to every one.
        before: The `State` before the step.
        perturbing: Whether the step perturbs: a bool, or a boolean scalar.

    Returns:
        The `State` after the clean passes, and the mean `Outcome`.
    """
    distribution: Any = keras.distribution.distribution()
    axis, everywhere = distribution.batch_dim_name, PartitionSpec()

    def mean(value):
        if jnp.issubdtype(value.dtype, jnp.floating):
            return jax.lax.pmean(value, axis)
        return of_the_first(value)

    def of_the_first(value):
        first = jax.lax.axis_index(axis) == 0
        return jax.lax.psum(jnp.where(first, value, jnp.zeros_like(value)), axis)

    def summed(new, old):
        return old + jax.lax.psum(new - old, axis)

    def merged(aggregation, new, old):
        if aggregation == "sum":
            return summed(new, old)
        return of_the_first(new) if aggregation == "only_first_replica" else mean(new)

    def on_one(batch, before, *unknown):
        index = jax.lax.axis_index(axis)
        own = _with_own_seeds(model, before, index)
        clean, outcome = passes(batch, own, *(unknown or [perturbing]))
        y_pred, finite = outcome.y_pred, outcome.finite
        averaged = jax.tree.map(mean, outcome._replace(y_pred=None, finite=None))
        if finite is not None:
            finite = jax.lax.pmin(finite.astype("int32"), axis) == 1
        pairs = zip(clean.metrics, before.metrics, strict=True)
        metrics = [summed(new, old) for new, old in pairs]
        states = zip(model.non_trainable_variables, clean.others, before.others, strict=True)
        others = [merged(variable.aggregation, new, old) for variable, new, old in states]
        clean = jax.tree.map(mean, clean)._replace(metrics=metrics, others=others)
        return clean, averaged._replace(y_pred=y_pred, finite=finite)

    split = PartitionSpec(axis)
    batch_specs = keras.tree.map_structure(
        lambda x, is_cut: None if x is None else split if is_cut else everywhere,
        batch,
        are_cut,
    )
    unknown = [] if isinstance(perturbing, bool) else [perturbing]
    specs: Any = dict.fromkeys(Outcome._fields, everywhere)
    outcome = Outcome(**{**specs, "y_pred": split})
    return jax.shard_map(
        on_one,
        mesh=distribution.device_mesh.backend_mesh,
        in_specs=(batch_specs, everywhere, *[everywhere] * len(unknown)),
        out_specs=(everywhere, outcome),
        check_vma=False,
    )(batch, before, *unknown)


def _with_own_seeds(model, state, index):
    """A state with seeds that differ between the devices. The first device keeps its seeds."""
    seeds = set(map(id, tracking.seeds(model) + tracking.seeds(model.rule)))
    pairs = zip(model.non_trainable_variables, state.others, strict=True)
    others = [
        value.at[0].add(index.astype(value.dtype)) if id(variable) in seeds else value
        for variable, value in pairs
    ]
    return state._replace(others=others)

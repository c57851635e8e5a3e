"""Several devices, as `keras.distribution` has them."""

import jax
import jax.numpy as jnp
import keras
from jax.sharding import PartitionSpec

from keras_zsharp.training.outcome import Outcome


def count_devices():
    """How many share a batch, or the weights."""
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else distribution.device_mesh.devices.size


def on_cpu():
    """Whether the step runs on a CPU, where XLA compiles loops and branches to slow code."""
    return jax.default_backend() == "cpu"


def check_devices(model):
    """Of a batch on several devices, JAX computes the gradients of the whole, unless it is told."""
    distribution, count = keras.distribution.distribution(), count_devices()
    whole = isinstance(distribution, keras.distribution.DataParallel)
    if count > 1 and model.perturbation_sync == "replica" and not whole:
        raise ValueError(
            '`perturbation_sync` must be None or "global" under a '
            f"`{type(distribution).__name__}`, whose devices share the weights. "
            f"Received: 'replica' and {count} devices"
        )


def on_each(passes, batch, given, perturbing):
    """What `passes` of these arguments gives for each device's part of the batch, averaged.

    As over the parts of `micro_batches`, but for what is assigned during the clean pass, such as
    BatchNormalization's statistics: there it is the mean, as `tf.distribute` has it. Each device
    draws from seeds of its own.

    Args:
        passes: Function from `batch`, `given` and `perturbing` to a `State` and an `Outcome`.
        batch: Tuple of inputs, targets and sample weights, split over the devices.
        given: The `State` before the step.
        perturbing: Whether the step perturbs: a bool, or such a tensor.
    """
    distribution = keras.distribution.distribution()
    axis, everywhere = distribution.batch_dim_name, PartitionSpec()

    def mean(value):
        if jnp.issubdtype(value.dtype, jnp.floating):
            return jax.lax.pmean(value, axis)
        first = jax.lax.axis_index(axis) == 0
        return jax.lax.psum(jnp.where(first, value, jnp.zeros_like(value)), axis)

    def on_one(batch, given, *unknown):
        index = jax.lax.axis_index(axis)
        clean, outcome = passes(batch, _with_own_seeds(given, index), *(unknown or [perturbing]))
        y_pred, finite = outcome.y_pred, outcome.finite
        averaged = jax.tree.map(mean, outcome._replace(y_pred=None, finite=None))
        if finite is not None:
            finite = jax.lax.pmin(finite.astype("int32"), axis) == 1
        pairs = zip(clean.metrics, given.metrics, strict=True)
        added = [jax.lax.psum(n - o, axis) for n, o in pairs]
        clean = jax.tree.map(mean, clean)
        clean = clean._replace(metrics=[o + a for o, a in zip(given.metrics, added, strict=True)])
        return clean, averaged._replace(y_pred=y_pred, finite=finite)

    split = PartitionSpec(axis)
    unknown = [] if isinstance(perturbing, bool) else [perturbing]
    outcome = Outcome(split, *[everywhere] * (len(Outcome._fields) - 1))
    return jax.shard_map(
        on_one,
        mesh=distribution.device_mesh.backend_mesh,
        in_specs=(split, everywhere, *[everywhere] * len(unknown)),
        out_specs=(everywhere, outcome),
        check_vma=False,
    )(batch, given, *unknown)


def _with_own_seeds(state, index):
    """A state whose seeds are those of one device: on the first, as they are."""
    others = [
        value.at[0].add(index.astype(value.dtype)) if _is_seed(value) else value
        for value in state.others
    ]
    return state._replace(others=others)


def _is_seed(value):
    return value.dtype == jnp.uint32 and value.shape == (2,)

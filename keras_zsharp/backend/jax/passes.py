"""`keras_zsharp.backend.passes.Passes` on JAX."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import keras

from keras_zsharp import outside
from keras_zsharp.backend.jax import devices
from keras_zsharp.backend.jax.derivatives import auxiliary_and_gradients
from keras_zsharp.backend.jax.loops import looped
from keras_zsharp.backend.jax.state import State, kinds, scope_of, with_values
from keras_zsharp.backend.passes import Outcome, Pass, kept_scale, unscaled, weighted
from keras_zsharp.interrupts import PutBack
from keras_zsharp.keras_internals import calling, tracking
from keras_zsharp.typing import Batch, Gradients, Nested, Tensor


class Passes:
    """`Passes` on JAX. A state is a `State`. `write` makes the new one, which `logged` returns."""

    cuts_shares, cuts_at_run_time = True, False

    def __init__(self, model: Any, check: Any, state: Any = None, data: Any = None) -> None:
        del data
        self.model, self.variables, self._check = model, tracking.trained(model), check
        values = ([v.value for v in of_kind] for of_kind in kinds(model))
        self.start = State(*(values if state is None else state))
        self._told = getattr(state, "perturbs", None)

    @property
    def loops(self) -> bool:
        """Whether the step is compiled: eagerly there is no loop."""
        return isinstance(self.start.weights[0], jax.core.Tracer)

    @property
    def shares(self) -> int:
        """One, if each device has passes of its own."""
        return 1 if self.model.perturbation_sync == "replica" else devices.count_shares()

    def run(self, before: State, batch: Batch, at: Sequence[Tensor] | None = None) -> Pass:
        x, y, sample_weight = batch

        def scaled_loss(weights):
            # As Keras' own step does: so it calls what a model overrides.
            scaled, (loss, y_pred, others, metrics) = self.model.compute_loss_and_updates(
                weights,
                before.others,
                before.metrics,
                x,
                y,
                sample_weight,
                training=True,
                optimizer_variables=before.optimizer,
            )
            pairs = zip(self.model.non_trainable_variables, before.others, others, strict=True)
            self._check(y_pred, sample_weight, [v for v, old, new in pairs if new is not old])
            return scaled, (before._replace(others=others, metrics=metrics), loss, y_pred)

        weights = before.weights if at is None else list(at)
        (after, loss, y_pred), gradients = auxiliary_and_gradients(scaled_loss, weights)
        return Pass(after, loss, gradients, y_pred)

    def rewound(self, clean: Pass) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext()  # The noise is in the state.

    def compare(self, clean: Pass, shifted: Pass) -> Sequence[str]:
        return ()

    def weights(self, state: State) -> list[Tensor]:
        return state.weights

    def values(self, variables: Sequence[Any], scope: Any = None) -> list[Tensor]:
        scope = scope or self.before()
        return [scope.read(v) for v in variables]

    def before(self) -> Any:
        return scope_of(self.model, self.start)

    def at(self, weights: Sequence[Tensor]) -> Any:
        return scope_of(self.model, self.start._replace(weights=list(weights)))

    def decided(self, perturbs: Callable[[], bool | Tensor]) -> bool | Tensor:
        perturbing = perturbs() if self._told is None else self._told
        return perturbing if isinstance(perturbing, jax.core.Tracer) else bool(perturbing)

    def either(self, condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
        if isinstance(condition, jax.core.Tracer):
            return jax.lax.cond(condition, yes, no)
        return yes() if condition else no()

    def dense(self, gradients: Gradients) -> Gradients:
        return gradients

    def unscaled(self, gradients: Gradients, alone: bool = False) -> Gradients:
        with self.before():
            return unscaled(gradients, self.model.optimizer.scale_loss(1.0))

    def instantiated(self, gradients: Gradients) -> Gradients:
        pairs = zip(gradients, self.variables, strict=True)
        return [jnp.zeros(v.shape, v.dtype) if g is None else g for g, v in pairs]

    def weighted(self, values: Sequence[Any], weights: Sequence[Any]) -> Any:
        return weighted(values, weights)

    def finite(self, loss: Tensor, gradients: Gradients) -> Tensor:
        values: Any = (loss, *gradients)
        return jnp.all(jnp.stack([jnp.all(jnp.isfinite(value)) for value in values]))

    def everywhere(self, finite: Tensor) -> Tensor:
        return finite  # One program computes for all devices.

    def assigned(self, state: State) -> list[Any]:
        return []

    def assigned_values(self, state: State, clean: State) -> list[Tensor]:
        return state.others

    def with_assigned(self, clean: State, values: Sequence[Tensor]) -> State:
        return clean._replace(others=list(values))

    def kept(self, always: bool = False) -> Any:
        return outside.put_back(self.model, always)

    def writing(self, kept: outside.Outside) -> contextlib.AbstractContextManager[Any]:
        return PutBack(kept.put_back, always=False)

    def looped(self, take: Any, batches: Sequence[Batch], before: State) -> tuple[Any, Outcome]:
        return looped(self.model, take, batches, before)

    def on_devices(
        self, take: Any, batch: Batch, are_cut: Nested, perturbing: bool | Tensor
    ) -> tuple[Any, Outcome]:
        if self.model.perturbation_sync != "replica" or self.model.count_devices() == 1:
            return take(self, batch, perturbing)

        def on_one(batch, state, perturbing):
            return take(Passes(self.model, self._check, state), batch, perturbing)

        return devices.on_each(self.model, on_one, batch, are_cut, self.start, perturbing)

    def write(self, clean: State, outcome: Outcome) -> None:
        rule_variables = self.model.rule.variables
        clean = with_values(self.model, clean, rule_variables, outcome.rule_state)
        finite, gradients, before = outcome.finite, outcome.gradients, self.start
        scales = isinstance(self.model.optimizer, keras.optimizers.LossScaleOptimizer)
        if finite is not None and scales:
            # The optimizer notices a NaN, and lowers its scale.
            nothing = jnp.where(finite, 0.0, jnp.nan)
            gradients = [gradients[0] + nothing.astype(gradients[0].dtype), *gradients[1:]]
        weights, optimizer = self.model.optimizer.stateless_apply(
            before.optimizer, gradients, before.weights
        )
        if finite is not None:
            if scales:
                optimizer = self._scale_kept(before.optimizer, optimizer)
            else:
                weights = _where(finite, weights, before.weights)
                optimizer = _where(finite, optimizer, before.optimizer)
            clean = clean._replace(others=_where(finite, clean.others, before.others))
        self._after = clean._replace(weights=weights, optimizer=optimizer)

    def logged(self, measure: Callable[[], Tensor], batch: Batch, y_pred: Nested) -> Any:
        with scope_of(self.model, self._after) as scope:
            loss = measure()
        metrics = [scope.read(v) for v in self.model.metrics_variables]
        logs, metrics = calling.updated_metrics(self.model, metrics, loss, batch, y_pred)
        return logs, tuple(self._after._replace(metrics=metrics))

    def _scale_kept(self, before, after):
        """The optimizer's new state, with a loss scale that stays large enough to recover."""
        scale = self.model.optimizer.dynamic_scale
        return [
            kept_scale(old, new) if variable is scale else new
            for variable, old, new in zip(
                self.model.optimizer.variables, before, after, strict=True
            )
        ]


def _where(condition, new, old):
    return [jnp.where(condition, n, o) for n, o in zip(new, old, strict=True)]

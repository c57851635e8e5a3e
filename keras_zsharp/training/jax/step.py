from __future__ import annotations

from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import keras

from keras_zsharp import keras_internals, outside
from keras_zsharp.training import gradients as gradients_of
from keras_zsharp.training import logs, micro_batches, noise, parts, skipped, turns
from keras_zsharp.training.jax import devices
from keras_zsharp.training.jax.checks import check_mode
from keras_zsharp.training.jax.derivatives import auxiliary_and_gradients
from keras_zsharp.training.jax.in_turn import in_turn
from keras_zsharp.training.jax.kept import KeptState
from keras_zsharp.training.jax.state import (
    State,
    Told,
    check_complete,
    kinds,
    scope_of,
    with_values,
)
from keras_zsharp.training.outcome import Outcome
from keras_zsharp.typing import Batch, Gradients, Logs, Variables


class TwoPassStep(KeptState):
    """The training step of `SharpnessAwareTraining` on the JAX backend: a function of the state.

    Expects a `keras.Model` with a rule as `perturbation`, a mean as `sharpness_tracker`, and the
    step's options.
    """

    def make_train_function(self, force: bool = False) -> Any:
        """`keras.Model.make_train_function`, after checking the devices and building the rule.

        Args:
            force: Whether to make it even if there is one.
        """
        variables = keras_internals.trained(self)
        check_mode()
        devices.check_devices(self)
        micro_batches.check(self.micro_batches, variables)
        # Before Keras takes the first state: it would lack variables that are made while tracing.
        self.perturbation.build(variables)
        check_complete(self)
        before = self.train_function
        super().make_train_function(force)
        compiled = self.jit_compile and not self.run_eagerly
        if self.train_function is not before and compiled and self.steps_per_execution == 1:
            self.train_function = self._choosing_programs(self.train_function)

    def train_step(self, state: Any, data: Any) -> tuple[Logs, Any]:
        """Takes one training step.

        Args:
            state: The trainer's state.
            data: A batch, as Keras' trainer passes it.

        Returns:
            The logs, and the state after the step.
        """
        given = State(*state)
        if not given.weights:
            return super().train_step(state, data)
        batch = keras.utils.unpack_x_y_sample_weight(data)
        told = getattr(state, "perturbs", None)
        perturbing = self._perturbs(given) if told is None else told
        with outside.put_back(self, always=False) as before:
            if self.perturbation_sync == "replica" and self.count_devices() > 1:
                clean, outcome = devices.on_each(self, self._all_passes, batch, given, perturbing)
            else:
                clean, outcome = self._all_passes(batch, given, perturbing)
            if self.skips_nonfinite:
                finite = outcome.finite & _all_finite(outcome.shifted_loss, outcome.gradients)
                outcome = outcome._replace(finite=finite)
                before.put_back_unless(finite)

            clean = with_values(self, clean, self._rule_variables(), outcome.rule_state)
            new = self._applied(given, clean, outcome)
            return self._logged(new, batch, outcome, perturbing)

    def test_step(self, state: Any, data: Any) -> tuple[Logs, Any]:
        """`keras.Model.test_step`, whose logs have no `sharpness`.

        Args:
            state: The trainer's state.
            data: A batch, as Keras' trainer passes it.

        Returns:
            The logs, and the state.
        """
        logs, state = super().test_step(state, data)
        # Only training measures it.
        for metric in self.training_metrics:
            logs.pop(metric.name, None)
        return logs, state

    def count_devices(self) -> int:
        """The number of devices that share a batch, or the weights.

        Returns:
            An int.
        """
        return devices.count_devices()

    def gradients_of(self, batch: Batch, variables: Variables) -> Gradients:
        """Gradients at w of another batch, without a loss scale.

        Call it in `ascent_gradients`: there the variables have their values.

        Args:
            batch: Tuple of inputs, targets and sample weights.
            variables: The trainable variables.

        Returns:
            List of arrays, None where the loss does not depend on a variable.
        """
        state = State(*([v.value for v in of_kind] for of_kind in kinds(self)))
        with outside.put_back(self):
            _, _, gradients, _ = self._run_pass(state, batch)
        return gradients_of.unscaled(gradients, self.optimizer.scale_loss(1.0))

    def _choosing_programs(self, train_function):
        """The train function, whose steps know from the state whether they perturb.

        On a CPU, XLA runs convolutions in a branch many times slower: each kind of step has its own
        program there. Elsewhere the program chooses, and the host does not wait for it.
        """

        def chosen(state, iterator):
            if not self.step_is_always_perturbed and devices.on_cpu():
                state = Told(state, perturbs=bool(self._perturbs(State(*state))))
            return train_function(state, iterator)

        return chosen

    def _perturbs(self, given):
        """Whether the step from a state on perturbs: a bool, or a boolean scalar."""
        with scope_of(self, given):
            return turns.perturbs(self, keras_internals.steps_taken(self.optimizer))

    def _all_passes(self, batch, given, perturbing):
        """The state after the clean passes over all micro-batches, and the mean `Outcome`."""

        def passes(micro_batch, before):
            one_pass = self.perturbation.along_momentum
            take_passes = self._one_pass if one_pass else self._both_passes
            return take_passes(micro_batch, given, before, perturbing)

        split = micro_batches.split(batch, self.micro_batches, parts.are_cut(self, batch))
        return in_turn(self, passes, split, given, self._rule_variables())

    def _both_passes(self, batch, given, before, perturbing):
        """The state after the clean pass, which starts from `before`, and the `Outcome`."""
        # 1. Loss and gradients at w.
        outside_before, generators = outside.Outside(self), noise.shared_generators()
        clean, loss, gradients, y_pred = self._run_pass(before, batch)
        variables, rule_variables = keras_internals.trained(self), self._rule_variables()
        with scope_of(self, given) as unchanged:
            at_w = gradients_of.unscaled(gradients, self.optimizer.scale_loss(1.0))
            step = keras_internals.steps_taken(self.optimizer)

        def perturbed():
            # 2. The rule turns the gradients into e(w).
            with scope_of(self, given) as scope:
                chosen = self.gradients_for_the_rule(at_w, variables)
                epsilons = self.perturbation(chosen, variables, step)
            rule_state = [scope.read(v) for v in rule_variables]

            # 3. Loss and gradients at w + e(w).
            weights = list(map(_shift, given.weights, epsilons))
            with (
                outside.rewound(self, outside_before),
                noise.drawn_here(generators) as drawn,
            ):
                shifted = self._run_pass(before._replace(weights=weights), batch)
            noise.warn_of_noise(drawn)
            _, shifted_loss, shifted_gradients, _ = shifted
            return shifted_loss, self._instantiated(shifted_gradients), rule_state

        def plain():
            rule_state = [unchanged.read(v) for v in rule_variables]
            return loss, self._instantiated(gradients), rule_state

        second = _either(perturbing, perturbed, plain)
        shifted_loss, shifted_gradients, rule_state = second

        # 4. The optimizer gets the second gradients, or what the rule makes of both.
        rule, passes = self.perturbation, (self._instantiated(gradients), shifted_gradients)
        asked = rule, step, passes, variables, rule_state, perturbing
        descent, rule_state = gradients_of.descent(*asked, _either)
        finite = _all_finite(loss, passes[0]) if self.skips_nonfinite else None
        return clean, Outcome(y_pred, loss, shifted_loss, descent, rule_state, finite)

    def _one_pass(self, batch, given, before, perturbing):
        """As `_both_passes`, for a rule that computes e(w) from the optimizer's momentum."""
        variables, rule_variables = keras_internals.trained(self), self._rule_variables()

        def perturbed():
            with scope_of(self, given) as scope:
                momenta = keras_internals.momenta(self.optimizer, variables)
                chosen = self.gradients_for_the_rule(momenta, variables)
                step = keras_internals.steps_taken(self.optimizer)
                epsilons = self.perturbation(chosen, variables, step)
            weights = list(map(_shift, given.weights, epsilons))
            return weights, [scope.read(v) for v in rule_variables]

        def plain():
            scope = scope_of(self, given)
            return given.weights, [scope.read(v) for v in rule_variables]

        weights, rule_state = _either(perturbing, perturbed, plain)
        shifted = self._run_pass(before._replace(weights=weights), batch)
        after, loss, gradients, y_pred = shifted
        gradients = self._instantiated(gradients)
        finite = _all_finite(loss, gradients) if self.skips_nonfinite else None
        outcome = Outcome(y_pred, loss, loss, gradients, rule_state, finite)
        return after._replace(weights=given.weights), outcome

    def _run_pass(self, state, batch):
        """The state after a pass, its loss, gradients (scaled as the optimizer asks), predictions.

        Gradients are None where the loss does not depend on the weights.
        """
        x, y, sample_weight = batch

        def scaled_loss(weights):
            # As Keras' own step does: so it calls what a model overrides.
            scaled, (loss, y_pred, others, metrics) = self.compute_loss_and_updates(
                weights,
                state.others,
                state.metrics,
                x,
                y,
                sample_weight,
                training=True,
                optimizer_variables=state.optimizer,
            )
            parts.check_loss(self, y_pred, sample_weight)
            pairs = zip(self.non_trainable_variables, state.others, others, strict=True)
            parts.check_state(self, [v for v, old, new in pairs if new is not old])
            return scaled, (state._replace(others=others, metrics=metrics), loss, y_pred)

        (clean, loss, y_pred), gradients = auxiliary_and_gradients(scaled_loss, state.weights)
        return clean, loss, gradients, y_pred

    def _applied(self, given, clean, outcome):
        """The state after the optimizer's step, or the given one if the step is skipped."""
        finite, gradients = outcome.finite, outcome.gradients
        scales = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        if finite is not None and scales:
            # The optimizer notices a NaN, and lowers its scale.
            nothing = jnp.where(finite, 0.0, jnp.nan)
            gradients = [gradients[0] + nothing.astype(gradients[0].dtype), *gradients[1:]]
        weights, optimizer = self.optimizer.stateless_apply(
            given.optimizer, gradients, given.weights
        )
        if finite is not None:
            if scales:
                optimizer = self._scale_kept(given.optimizer, optimizer)
            else:
                weights = _where(finite, weights, given.weights)
                optimizer = _where(finite, optimizer, given.optimizer)
            clean = clean._replace(others=_where(finite, clean.others, given.others))
        return clean._replace(weights=weights, optimizer=optimizer)

    def _scale_kept(self, before, after):
        """The optimizer's new state, with a loss scale that stays large enough to recover."""
        scale = self.optimizer.dynamic_scale
        return [
            skipped.kept_scale(old, new) if variable is scale else new
            for variable, old, new in zip(self.optimizer.variables, before, after, strict=True)
        ]

    def _logged(self, state, batch, outcome, perturbing):
        with scope_of(self, state) as scope:
            loss = logs.measured(self, batch, outcome, perturbing)
        metrics = [scope.read(v) for v in self.metrics_variables]
        found, metrics = keras_internals.updated_metrics(self, metrics, loss, batch, outcome.y_pred)
        return found, tuple(state._replace(metrics=metrics))

    def _rule_variables(self):
        return self.perturbation.variables

    def _instantiated(self, gradients):
        """Gradients with zeros for None, as plain Keras passes them to optimizers on JAX."""
        pairs = zip(gradients, keras_internals.trained(self), strict=True)
        return [jnp.zeros(v.shape, v.dtype) if g is None else g for g, v in pairs]


def _either(condition, yes, no):
    """The result of one of two functions. Eagerly, the other one is not called."""
    if isinstance(condition, jax.core.Tracer):
        return jax.lax.cond(condition, yes, no)
    return yes() if condition else no()


def _shift(weight, epsilon):
    return weight if epsilon is None else weight + epsilon.astype(weight.dtype)


def _all_finite(loss, gradients):
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(value)) for value in (loss, *gradients)]))


def _where(condition, new, old):
    return [jnp.where(condition, n, o) for n, o in zip(new, old, strict=True)]

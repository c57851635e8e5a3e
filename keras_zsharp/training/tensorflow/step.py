from __future__ import annotations

import contextlib
from typing import Any

import keras
import tensorflow as tf

from keras_zsharp import interrupts, keras_internals, outside, tensorflow_internals
from keras_zsharp.training import logs, micro_batches, noise, parts, turns
from keras_zsharp.training.outcome import Outcome
from keras_zsharp.training.tensorflow import devices
from keras_zsharp.training.tensorflow import gradients as gradients_of
from keras_zsharp.training.tensorflow.carried import Operations, check_nothing_carried
from keras_zsharp.training.tensorflow.checks import (
    check_read_in_scope,
    check_second_pass,
)
from keras_zsharp.training.tensorflow.finite import (
    all_finite,
    apply_if,
    on_all_replicas,
    poisoned,
    scale_kept,
)
from keras_zsharp.training.tensorflow.scope import PassScope, assign_if
from keras_zsharp.training.tensorflow.written import nothing_written
from keras_zsharp.typing import Batch, Gradients, Logs, Variables


class TwoPassStep(keras_internals.BuiltFromABatch):
    """The training step of `SharpnessAwareTraining` on the TensorFlow backend.

    Expects a `keras.Model` with a rule as `perturbation`, a mean as `sharpness_tracker`, and the
    step's options.
    """

    def make_train_function(self, force: bool = False) -> Any:
        """`keras.Model.make_train_function`, after checking the devices.

        Args:
            force: Whether to make it even if there is one.
        """
        devices.check_devices(self)
        return super().make_train_function(force)

    def train_step(self, data: Any) -> Logs:
        """Takes one training step.

        Args:
            data: A batch, as Keras' trainer passes it.

        Returns:
            The logs.
        """
        return devices.as_vectors(self.distribute_strategy, self._two_passes(data))

    def test_step(self, data: Any) -> Logs:
        """`keras.Model.test_step`, whose logs have no `sharpness`.

        Args:
            data: A batch, as Keras' trainer passes it.

        Returns:
            The logs.
        """
        logs = super().test_step(data)
        # Only training measures it.
        for metric in self.training_metrics:
            logs.pop(metric.name, None)
        return devices.as_vectors(self.distribute_strategy, logs)

    def _before_building(self, iterator, data_batch):
        strategy = self.distribute_strategy
        if iterator is not None and keras_internals.is_distributed(self):
            return None, devices.first_batch(strategy, iterator)
        if iterator is not None and not self.built:
            # Keras would build it in the first step, after callbacks have restored weights.
            keras_internals.build_as_iterated(self, iterator)
        return iterator, data_batch

    def _two_passes(self, data):
        batch = keras.utils.unpack_x_y_sample_weight(data)
        variables, rule_variables = self._prepare(batch), self.perturbation.variables
        if not variables:
            return super().train_step(data)
        perturbing = turns.perturbs(self, keras_internals.steps_taken(self.optimizer))

        one_pass = self.perturbation.along_momentum
        take_passes = self._one_pass if one_pass else self._both_passes

        def passes(micro_batch, after):
            return take_passes(micro_batch, variables, perturbing, after)

        split = micro_batches.split(batch, self.micro_batches, parts.are_cut(self, batch))
        with contextlib.ExitStack() as whole:
            with outside.put_back(self, always=False) as before:
                clean, outcome = micro_batches.in_turn(
                    passes, split, None, rule_variables, weighted=gradients_of.weighted
                )
                parts.check_state(self, clean.assigned())
                if self.skips_nonfinite:
                    finite = outcome.finite & all_finite(outcome.shifted_loss, outcome.gradients)
                    outcome = outcome._replace(finite=on_all_replicas(finite))
                # From here on interrupts wait: all that the passes have changed stays, or nothing.
                whole.enter_context(interrupts.held_back())
            if outcome.finite is not None:
                before.put_back_unless(outcome.finite)
            self._write(clean, outcome, variables, rule_variables)
        with tensorflow_internals.outside_of_graph():
            keras_internals.build_metrics(self, batch[1], outcome.y_pred)
        return logs.updated(self, batch, outcome, perturbing)

    def _write(self, clean, outcome, variables, rule_variables):
        # Nothing has been written so far. In a graph, all writing waits for the gradients: weight
        # decay and statistics would not wait by themselves. It waits for one operation: edges from
        # each write to each gradient would be millions.
        with tf.control_dependencies([g for g in outcome.gradients if g is not None]):
            both_passes_are_through = tf.no_op()
        with tf.control_dependencies([both_passes_are_through]):
            clean.commit(outcome.finite)
            for variable, value in zip(rule_variables, outcome.rule_state, strict=True):
                assign_if(outcome.finite, variable, value)
            self._apply(outcome, variables)

    def _apply(self, outcome, variables):
        gradients, finite = outcome.gradients, outcome.finite
        if finite is None:
            self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        elif isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            gradients = poisoned(gradients, finite)
            with scale_kept(self.optimizer):
                self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        else:
            apply_if(finite, self.optimizer, gradients, variables)

    def _both_passes(self, batch, variables, perturbing, after):
        """The scope of the clean pass, which starts from that of `after`, and the `Outcome`."""
        # 1. Loss and gradients at w.
        weights = _values(variables, after)
        clean = PassScope(variables, weights, after)
        before, generators = outside.Outside(self), noise.shared_generators()
        first = Operations()
        with nothing_written(self, first), first:
            loss, gradients, y_pred = self._run_pass(clean, variables, batch)
        step = keras_internals.steps_taken(self.optimizer)

        # Outside of the branch: replicas must not wait for each other in a branch.
        scale, sync = self.optimizer.scale_loss(1.0), self.perturbation_sync
        at_w = gradients_of.dense_unscaled(gradients, variables, scale, sync)

        def perturbed():
            # 2. The rule turns the gradients into e(w).
            clean.rewind()
            chosen = self.gradients_for_the_rule(at_w, variables)
            with PassScope(variables, weights) as scope:
                epsilons = self.perturbation(chosen, variables, step)

            # 3. Loss and gradients at w + e(w).
            shifted = PassScope(variables, map(_shift, weights, epsilons), after)
            with (
                Operations() as second,
                outside.rewound(self, before),
                noise.drawn_here(generators) as drawn,
            ):
                shifted_loss, shifted_gradients, _ = self._run_pass(shifted, variables, batch)
            noise.warn_of_noise(drawn, second.drawing())
            check_nothing_carried(clean.weights, first, second)
            check_second_pass(variables, gradients, shifted_gradients)
            return shifted_loss, shifted_gradients, _values(self.perturbation.variables, scope)

        def plain():
            return loss, gradients, _values(self.perturbation.variables)

        second = gradients_of.either(perturbing, perturbed, plain)
        shifted_loss, shifted_gradients, rule_state = second

        # 4. The optimizer gets the second gradients, or what the rule makes of both.
        rule, passes = self.perturbation, (gradients, shifted_gradients)
        given = rule, step, passes, variables, rule_state, perturbing
        descent, rule_state = gradients_of.descent(*given, sync)
        finite = all_finite(loss, gradients) if self.skips_nonfinite else None
        return clean, Outcome(y_pred, loss, shifted_loss, descent, rule_state, finite)

    def _one_pass(self, batch, variables, perturbing, after):
        """As `_both_passes`, for a rule that computes e(w) from the optimizer's momentum."""
        weights, rule = _values(variables), self.perturbation
        momenta = keras_internals.momenta(self.optimizer, variables)
        step = keras_internals.steps_taken(self.optimizer)

        def perturbed():
            chosen = self.gradients_for_the_rule(momenta, variables)
            with PassScope(variables, weights) as scope:
                epsilons = rule(chosen, variables, step)
            return list(map(_shift, weights, epsilons)), _values(rule.variables, scope)

        def plain():
            return list(map(tf.identity, weights)), _values(rule.variables)

        shifts, rule_state = gradients_of.either(perturbing, perturbed, plain)
        shifted, first = PassScope(variables, shifts, after), Operations()
        with nothing_written(self, first), first:
            loss, gradients, y_pred = self._run_pass(shifted, variables, batch)
        shifted.check_no_weight_assigned()
        finite = all_finite(loss, gradients) if self.skips_nonfinite else None
        return shifted, Outcome(y_pred, loss, loss, gradients, rule_state, finite)

    def count_devices(self) -> int:
        """The number of devices that share a batch.

        Returns:
            An int.
        """
        return self.distribute_strategy.num_replicas_in_sync

    def gradients_of(self, batch: Batch, variables: Variables) -> Gradients:
        """Gradients at w of another batch, dense and without a loss scale.

        Args:
            batch: Tuple of inputs, targets and sample weights.
            variables: The trainable variables.

        Returns:
            List of tensors, None where the loss does not depend on a variable.
        """
        scope = PassScope(variables, _values(variables))
        with outside.put_back(self):
            _, gradients, _ = self._run_pass(scope, variables, batch)
        scope.rewind()
        scale = self.optimizer.scale_loss(1.0)
        return gradients_of.dense_unscaled(gradients, variables, scale, "replica")

    def _run_pass(self, scope, variables, batch):
        """Loss, gradients (with the optimizer's loss scale) and predictions in `scope`."""
        x, y, sample_weight = batch
        with scope:
            weights = _values(variables)
            with tf.GradientTape() as tape:
                tape.watch(weights)
                y_pred = keras_internals.forward(self, x)
                loss = keras_internals.compute_loss(self, x, y, y_pred, sample_weight)
                parts.check_loss(self, y_pred, sample_weight)
                scaled_loss = self.optimizer.scale_loss(loss)
            check_read_in_scope(variables, tape)
            return loss, tape.gradient(scaled_loss, weights), y_pred

    def _prepare(self, batch):
        """The trainable variables, after creating those that model, rule and optimizer lack."""
        with tensorflow_internals.outside_of_graph():
            if not keras_internals.is_built(self):
                keras_internals.build(self, batch[0])
            variables = keras_internals.trained(self)
            micro_batches.check(self.micro_batches, variables)
            self.perturbation.build(variables)
            if variables and not self.optimizer.built:
                self.optimizer.build(variables)
        return variables


def _values(variables, scope=None):
    """The values of `variables` in `scope`, or else here."""
    with scope or contextlib.nullcontext():
        return [tf.convert_to_tensor(v) for v in variables]


def _shift(weight, epsilon):
    # Always a new tensor: the weights of the two passes must not be the same tensors.
    return tf.identity(weight) if epsilon is None else weight + tf.cast(epsilon, weight.dtype)

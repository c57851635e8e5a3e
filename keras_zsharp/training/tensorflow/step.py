import contextlib

import keras
import tensorflow as tf

from keras_zsharp import keras_internals
from keras_zsharp.training import interrupts
from keras_zsharp.training.outcome import Outcome
from keras_zsharp.training.tensorflow import gradients as gradients_of
from keras_zsharp.training.tensorflow import micro_batches, noise
from keras_zsharp.training.tensorflow.carried import Operations, check_nothing_carried
from keras_zsharp.training.tensorflow.checks import (
    check_parts,
    check_read_in_scope,
    check_second_pass,
)
from keras_zsharp.training.tensorflow.finite import all_finite, apply_if, on_all_replicas, poisoned
from keras_zsharp.training.tensorflow.scope import PassScope, assign_if
from keras_zsharp.training.tensorflow.written import nothing_written


class TwoPassStep:
    """The training step of `SharpnessAwareTraining` on the TensorFlow backend.

    Expects a `keras.Model` with a rule as `perturbation`, a mean as `sharpness_tracker`, and the
    ints `perturb_every` and `micro_batches`, `skip_nonfinite`, a bool or None, and
    `perturbation_sync`, "replica" or "global".
    """

    def train_step(self, data):
        batch = keras.utils.unpack_x_y_sample_weight(data)
        variables, rule_variables = self._prepare(batch), self.perturbation.variables
        if not variables:
            return super().train_step(data)
        perturbing = self.optimizer.iterations % self.perturb_every == 0

        clean, outcomes, sizes = None, [], []
        for size, part in micro_batches.split(batch, self.micro_batches):
            clean, outcome = self._both_passes(part, variables, perturbing, after=clean)
            outcomes.append(outcome)
            sizes.append(size)
        outcome = micro_batches.mean(outcomes, sizes, rule_variables)
        if self.skips_nonfinite:
            finite = outcome.finite & all_finite(outcome.shifted_loss, outcome.gradients)
            outcome = outcome._replace(finite=on_all_replicas(finite))

        # Nothing has been written so far. In a graph, nothing is before the gradients are there:
        # weight decay and statistics would not wait for them. (They wait for one operation: an
        # edge from each of them to every gradient would be millions.)
        with tf.control_dependencies([g for g in outcome.gradients if g is not None]):
            both_passes_are_through = tf.no_op()
        with tf.control_dependencies([both_passes_are_through]), interrupts.held_back():
            clean.commit(outcome.finite)
            for variable, value in zip(rule_variables, outcome.rule_state, strict=True):
                assign_if(outcome.finite, variable, value)
            self._apply(outcome, variables)
        return self._logs(batch, outcome, perturbing)

    def _apply(self, outcome, variables):
        gradients, finite = outcome.gradients, outcome.finite
        if finite is None:
            self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        elif isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            gradients = poisoned(gradients, finite)
            self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        else:
            apply_if(finite, self.optimizer, gradients, variables)

    def _both_passes(self, batch, variables, perturbing, after):
        """The scope of the clean pass, which goes on from `after`, and the `Outcome`."""
        # 1. Loss and gradients at w.
        clean = PassScope(variables, _values(variables, after), after)
        first = Operations()
        with nothing_written(self, first), first:
            loss, gradients, y_pred = self._run_pass(clean, variables, batch)
        weights = _values(variables, clean)

        # Outside of the branch: replicas must not wait for each other in one.
        scale, sync = self.optimizer.scale_loss(1.0), self.perturbation_sync
        ascent = gradients_of.ascent(gradients, variables, scale, sync)

        def perturbed():
            # 2. The rule turns the gradients into e(w).
            clean.rewind()
            chosen = self.ascent_gradients(ascent, variables)
            with PassScope(variables, weights) as scope:
                epsilons = self.perturbation(chosen, variables)

            # 3. Loss and gradients at w + e(w).
            shifted = PassScope(variables, map(_shift, weights, epsilons), after)
            generators = noise.shared_generators()
            with Operations() as second:
                shifted_loss, shifted_gradients, _ = self._run_pass(shifted, variables, batch)
            noise.warn_of_noise(second.made, generators)
            check_nothing_carried(clean.weights, first, second)
            check_second_pass(variables, gradients, shifted_gradients)
            return shifted_loss, shifted_gradients, _values(self.perturbation.variables, scope)

        def plain():
            return loss, gradients, _values(self.perturbation.variables)

        second = perturbed() if self.perturb_every == 1 else tf.cond(perturbing, perturbed, plain)
        shifted_loss, shifted_gradients, rule_state = second

        # 4. The optimizer is given the second gradients, or what the rule makes of both.
        rule, given = self.perturbation, (gradients, shifted_gradients, variables)
        descent = gradients_of.descent(rule, *given, sync)
        finite = all_finite(loss, gradients) if self.skips_nonfinite else None
        return clean, Outcome(y_pred, loss, shifted_loss, descent, rule_state, finite)

    def _run_pass(self, scope, variables, batch):
        """Loss, gradients (scaled as the optimizer asks) and predictions inside `scope`."""
        x, y, sample_weight = batch
        with scope:
            weights = _values(variables)
            with tf.GradientTape() as tape:
                tape.watch(weights)
                y_pred = keras_internals.forward(self, x)
                loss = keras_internals.compute_loss(self, x, y, y_pred, sample_weight)
                scaled_loss = self.optimizer.scale_loss(loss)
            check_read_in_scope(variables, tape)
            return loss, tape.gradient(scaled_loss, weights), y_pred

    def _logs(self, batch, outcome, perturbing):
        x, y, sample_weight = batch
        size = micro_batches.size_of(x)
        loss = keras_internals.unscale_loss(outcome.loss)
        sharpness = keras_internals.unscale_loss(outcome.shifted_loss) - loss
        keras_internals.loss_tracker(self).update_state(loss, sample_weight=size)
        counts = perturbing
        if outcome.finite is not None:
            counts &= outcome.finite
            sharpness = tf.where(outcome.finite, sharpness, 0)
        self.sharpness_tracker.update_state(
            sharpness, sample_weight=size * tf.cast(counts, "int32")
        )
        with keras_internals.outside_of_graph():
            keras_internals.build_metrics(self, y, outcome.y_pred)
        return self.compute_metrics(x, y, outcome.y_pred, sample_weight=sample_weight)

    @property
    def skips_nonfinite(self):
        """Whether steps whose loss or gradients are not finite are skipped."""
        if self.skip_nonfinite is None:
            return isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        return self.skip_nonfinite

    def _prepare(self, batch):
        """The trainable variables, after creating what the model, rule and optimizer lack."""
        with keras_internals.outside_of_graph():
            if not keras_internals.is_built(self):
                keras_internals.build(self, batch[0])
            variables = keras_internals.trained(self)
            check_parts(self.micro_batches, variables)
            self.perturbation.build(variables)
            if variables and not self.optimizer.built:
                self.optimizer.build(variables)
        return variables


def _values(variables, scope=None):
    """What `variables` stand for in `scope`, or else here."""
    with scope or contextlib.nullcontext():
        return [tf.convert_to_tensor(v) for v in variables]


def _shift(weight, epsilon):
    # A tensor of its own in any case: that is how the weights of the passes are told apart.
    return tf.identity(weight) if epsilon is None else weight + tf.cast(epsilon, weight.dtype)

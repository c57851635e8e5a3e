from __future__ import annotations

import contextlib
from typing import Any

import keras
import torch

from keras_zsharp import interrupts, keras_internals, outside, torch_internals
from keras_zsharp.torch_checks import check_modules, refuse_in_place
from keras_zsharp.training import gradients as gradients_of
from keras_zsharp.training import logs, micro_batches, noise, parts, skipped, turns
from keras_zsharp.training.outcome import Outcome
from keras_zsharp.training.torch import backward, processes, randomness
from keras_zsharp.training.torch.scope import PassScope
from keras_zsharp.typing import Batch, Gradients, Logs, Variables


class TwoPassStep(keras_internals.MixinOfAModel):
    """The training step of `SharpnessAwareTraining` on the PyTorch backend.

    Expects a `keras.Model` with a rule as `perturbation`, a mean as `sharpness_tracker`, and the
    step's options.
    """

    def make_train_function(self, force: bool = False) -> Any:
        """`keras.Model.make_train_function`, after building rule and optimizer.

        Args:
            force: Whether to make it even if there is one.
        """
        variables = keras_internals.trained(self)
        check_modules(self)
        processes.check_distribution()
        micro_batches.check(self.micro_batches, variables)
        self.perturbation.build(variables)
        if variables and not self.optimizer.built:
            self.optimizer.build(variables)
        return super().make_train_function(force)

    @interrupts.puts_back(torch_internals.autograd_modes)
    def train_step(self, data: Any) -> Logs:
        """Takes one training step.

        Args:
            data: A batch, as Keras' trainer passes it.

        Returns:
            The logs.
        """
        variables, rule_variables = keras_internals.trained(self), self.perturbation.variables
        if not variables:
            return super().train_step(data)
        batch = keras.utils.unpack_x_y_sample_weight(data)
        perturbing = bool(turns.perturbs(self, keras_internals.steps_taken(self.optimizer)))

        one_pass = self.perturbation.along_momentum
        take_passes = self._one_pass if one_pass else self._both_passes

        def passes(micro_batch, after):
            start = before if after is None else outside.Outside(self)
            return take_passes(micro_batch, variables, perturbing, after, start)

        split = micro_batches.split(batch, self.micro_batches, parts.are_cut(self, batch))
        with contextlib.ExitStack() as whole:
            with (
                backward.put_back(variables, always=False),
                outside.put_back(self, always=False) as before,
                randomness.put_back(always=False) as noise_before,
            ):
                clean, outcome = micro_batches.in_turn(passes, split, None, rule_variables)
                parts.check_state(self, clean.assigned())
                if self.skips_nonfinite:
                    finite = outcome.finite & _all_finite(outcome.shifted_loss, outcome.gradients)
                    outcome = outcome._replace(finite=processes.all_find(self, finite))
                # From here on interrupts wait: all that the passes have changed stays, or nothing.
                whole.enter_context(interrupts.held_back())
            with torch.no_grad():
                self._write(clean, outcome, variables, rule_variables)
                if outcome.finite is not None and not outcome.finite:
                    before.put_back()
                    randomness.restore(noise_before)
                return logs.updated(self, batch, outcome, perturbing)

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
        return logs

    def count_devices(self) -> int:
        """The number of devices that share a batch.

        Returns:
            An int.
        """
        return 1

    def gradients_of(self, batch: Batch, variables: Variables) -> Gradients:
        """Gradients at w of another batch, without a loss scale.

        Args:
            batch: Tuple of inputs, targets and sample weights.
            variables: The trainable variables.

        Returns:
            List of tensors, None where the loss does not depend on a variable.
        """
        scope = PassScope(variables, _values(variables))
        with (
            torch.enable_grad(),
            randomness.put_back(),
            backward.put_back(variables),
            outside.put_back(self),
        ):
            _, gradients, _ = self._run_pass(scope, variables, batch)
        return gradients_of.unscaled(gradients, self.optimizer.scale_loss(1.0))

    def _both_passes(self, batch, variables, perturbing, after, before):
        """The scope of the clean pass, which starts from that of `after`, and the `Outcome`.

        `before` is the state outside of Keras variables from which both passes start.
        """
        # 1. Loss and gradients at w.
        weights, rule = _values(variables, after), self.perturbation
        clean = PassScope(variables, weights, after)
        generators, noise_before = noise.shared_generators(), randomness.state()
        loss, gradients, y_pred = self._run_pass(clean, variables, batch)
        step = keras_internals.steps_taken(self.optimizer)
        shifted_loss, shifted_gradients = loss, gradients
        if not perturbing:
            rule_state = _values(rule.variables)
        else:
            with torch.no_grad():
                # 2. The rule turns the gradients into e(w).
                at_w = gradients_of.unscaled(gradients, self.optimizer.scale_loss(1.0))
                with randomness.rewound(noise_before):
                    chosen = self.gradients_for_the_rule(at_w, variables)
                with PassScope(variables, weights) as scope:
                    epsilons = rule(chosen, variables, step)
                rule_state = _values(rule.variables, scope)
                shifts = list(map(_shift, weights, epsilons))

            # 3. Loss and gradients at w + e(w).
            with (
                randomness.rewound(noise_before),
                outside.rewound(self, before),
                noise.drawn_here(generators) as drawn,
            ):
                shifted = PassScope(variables, shifts, after)
                shifted_loss, shifted_gradients, _ = self._run_pass(shifted, variables, batch)
            noise.warn_of_noise(drawn)

        # 4. The optimizer gets the second gradients, or what the rule makes of both.
        with torch.no_grad():
            passes = gradients, shifted_gradients
            given = rule, step, passes, variables, rule_state, perturbing
            descent, rule_state = gradients_of.descent(*given, _either)
            finite = _all_finite(loss, gradients) if self.skips_nonfinite else None
        return clean, Outcome(y_pred, loss, shifted_loss, descent, rule_state, finite)

    def _one_pass(self, batch, variables, perturbing, after, before):
        """As `_both_passes`, for a rule that computes e(w) from the optimizer's momentum."""
        del before
        weights, rule = _values(variables), self.perturbation
        with torch.no_grad(), PassScope(variables, weights) as scope:
            shifts = weights
            if perturbing:
                momenta = keras_internals.momenta(self.optimizer, variables)
                chosen = self.gradients_for_the_rule(momenta, variables)
                step = keras_internals.steps_taken(self.optimizer)
                shifts = list(map(_shift, weights, rule(chosen, variables, step)))
        shifted = PassScope(variables, shifts, after)
        loss, gradients, y_pred = self._run_pass(shifted, variables, batch)
        shifted.check_no_weight_assigned()
        finite = _all_finite(loss, gradients) if self.skips_nonfinite else None
        rule_state = _values(rule.variables, scope)
        return shifted, Outcome(y_pred, loss, loss, gradients, rule_state, finite)

    def _run_pass(self, scope, variables, batch):
        """Loss, gradients (with the optimizer's loss scale) and predictions in `scope`."""
        x, y, sample_weight = batch
        with scope, refuse_in_place(self.variables, variables, scope.weights):
            y_pred = keras_internals.forward(self, x)
            backward.zero_grad(self, scope.weights, variables)
            loss = keras_internals.compute_loss(self, x, y, y_pred, sample_weight)
            parts.check_loss(self, y_pred, sample_weight)
            scaled_loss = self.optimizer.scale_loss(loss)
            # What is computed again while going backward belongs to the pass, too.
            gradients = backward.gradients(scaled_loss, scope.weights, variables)
        y_pred = keras.tree.map_structure(_detached, y_pred)
        return loss.detach(), gradients, y_pred

    def _write(self, clean, outcome, variables, rule_variables):
        backward.leave(variables, outcome.gradients)
        if outcome.finite is None or outcome.finite:
            clean.commit()
            for variable, value in zip(rule_variables, outcome.rule_state, strict=True):
                variable.assign(value)
            self.optimizer.apply(outcome.gradients, variables)
        elif isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            # The optimizer notices a NaN, and lowers its scale.
            nothing = [None if g is None else g * float("nan") for g in outcome.gradients]
            scale = keras.ops.copy(self.optimizer.dynamic_scale)
            self.optimizer.apply(nothing, variables)
            kept = skipped.kept_scale(scale, self.optimizer.dynamic_scale)
            self.optimizer.dynamic_scale.assign(kept)


def _either(condition, yes, no):
    return yes() if condition else no()


def _detached(prediction):
    if not torch.is_tensor(prediction):  # A model may predict None.
        return prediction
    mask = keras_internals.mask_of(prediction)
    return keras_internals.with_mask(prediction.detach(), mask)


def _values(variables, scope=None):
    """The values of `variables` in `scope`, or else here."""
    with scope or contextlib.nullcontext():
        return [keras.ops.convert_to_tensor(v).detach() for v in variables]


def _shift(weight, epsilon):
    return weight if epsilon is None else weight + epsilon.to(weight.dtype)


def _all_finite(loss, gradients):
    values = (loss, *(g for g in gradients if g is not None))
    return torch.stack([torch.isfinite(value).all() for value in values]).all()

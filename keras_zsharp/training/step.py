"""One step, for all backends. It reads downwards."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import keras

from keras_zsharp import outside
from keras_zsharp.backend import room
from keras_zsharp.backend.passes import Outcome, Passes
from keras_zsharp.keras_internals import optimizers, tracking
from keras_zsharp.ops import of_dtype
from keras_zsharp.training import ascent, logs, micro_batches, noise, parts, turns
from keras_zsharp.training.gradients import descended
from keras_zsharp.typing import Batch, Gradients, Variables

if TYPE_CHECKING:
    from keras_zsharp.backend.tensorflow.trainer import Trainer
else:
    Trainer = room("trainer").Trainer

_HERE = room("passes")


class Step(Trainer):
    """The training step of `SharpnessAwareTraining`.

    Expects a `keras.Model` with the attributes `rule`, `sharpness_tracker` and `step_options`.
    """

    def train_step(self, *args: Any) -> Any:
        """Takes one training step.

        Args:
            *args: The batch, as Keras' trainer passes it; on JAX, the trainer's state before it.

        Returns:
            The logs; on JAX, the state after the step with them.
        """
        batch = keras.utils.unpack_x_y_sample_weight(args[-1])
        self.build_in_step(batch)
        passes = self._passes(*args)
        if not passes.variables:
            return super().train_step(*args)
        perturbing = passes.decided(lambda: self.perturbs_in(passes))
        with contextlib.ExitStack() as whole:
            with passes.kept() as kept:
                are_cut = parts.are_cut(self, batch)
                take = functools.partial(_in_turn, kept, are_cut)
                clean, outcome = passes.on_devices(take, batch, are_cut, perturbing)
                seen = ascent.of_clean_passes(passes, batch, are_cut, perturbing)
                if self.skips_nonfinite:
                    finite = passes.finite(outcome.shifted_loss, outcome.gradients)
                    outcome = outcome._replace(finite=passes.everywhere(outcome.finite & finite))
                # From here on all that the passes have changed stays, or nothing.
                whole.enter_context(passes.writing(kept))
            if outcome.finite is not None:
                kept.put_back_unless(outcome.finite)
            passes.write(clean, outcome)
            measure = functools.partial(logs.measured, self, batch, outcome, perturbing)
            return passes.logged(measure, seen, outcome.y_pred)

    def test_step(self, *args: Any) -> Any:
        """`keras.Model.test_step`, whose logs have no `sharpness`: only training measures it.

        Args:
            *args: As those of `train_step`.

        Returns:
            What it returns.
        """
        result: Any = super().test_step(*args)
        shown = result[0] if isinstance(result, tuple) else result
        for metric in self.training_metrics:
            shown.pop(metric.name, None)
        return result

    def perturbs_in(self, passes: Passes) -> Any:
        """Whether a step perturbs.

        Args:
            passes: The `Passes` of the step.

        Returns:
            A bool, or a boolean scalar.
        """
        if self.every_step_perturbs is not None:
            return self.every_step_perturbs
        with passes.before():
            return turns.perturbs(self, optimizers.steps_taken(self.optimizer))

    def decides_by_tensors(self) -> bool:
        """Whether a compiler can follow what decides which steps perturb.

        Returns:
            A bool. It is false where code decides that is neither Keras' nor this library's.
        """
        return turns.by_tensors(self.rule)

    def build_for_training(self) -> None:
        """Creates the variables that rule and optimizer lack. The model must be built."""
        variables = tracking.trained(self)
        micro_batches.check(parts.taken_in_parts(self), variables)
        self.rule.build(variables)
        if variables and not self.optimizer.built:
            self.optimizer.build(variables)

    def gradients_of(self, batch: Batch, variables: Variables) -> Gradients:
        """Gradients at w of another batch, dense and without a loss scale.

        Call it in `ascent_gradients`: there the variables have their values.

        Args:
            batch: Tuple of inputs, targets and sample weights.
            variables: The trainable variables.

        Returns:
            List of tensors, None where the loss does not depend on a variable.
        """
        del variables
        passes = self._passes()
        with passes.kept(always=True):
            other = passes.run(passes.start, batch)
            with passes.rewound(other):
                return passes.unscaled(other.gradients, alone=True)

    def _passes(self, *args):
        return _HERE.Passes(self, functools.partial(parts.check_pass, self), *args)


def _in_turn(kept, are_cut, passes, batch, perturbing):
    """The state after the clean passes over all micro-batches, and the mean `Outcome`."""
    model = passes.model
    take = _both_passes if model.rule.reads == "gradients" else _one_pass
    ascent_part = functools.partial(ascent.part, passes, are_cut=are_cut, perturbing=perturbing)
    take = functools.partial(take, passes, perturbing, kept, ascent_part)
    if model.micro_batches == 1:
        return take(batch, passes.start)
    split = micro_batches.split(batch, model.micro_batches, are_cut)
    return micro_batches.in_turn(passes, take, split)


def _both_passes(passes, perturbing, kept, ascent_part, batch, before):
    """The state after the clean pass, which starts from `before`, and the `Outcome`.

    `kept` is what there was outside of variables before the step. `ascent_part` takes the examples
    of the clean pass out of a batch.
    """
    model, variables, rule = passes.model, passes.variables, passes.model.rule
    # 1. Loss and gradients at w.
    kept = kept if before is passes.start else outside.Outside(model)
    generators = {} if perturbing is False else noise.shared_generators()
    part = ascent_part(batch)
    clean = passes.run(before, part)
    of_a_part = part is not batch
    state = passes.assigned_values(clean.state, clean.state) if of_a_part else []
    weights, at_w = passes.weights(before), passes.unscaled(clean.gradients)
    with passes.before():
        step = optimizers.steps_taken(model.optimizer)

    def perturbed():
        # 2. The rule turns the gradients into e(w).
        with passes.before(), passes.rewound(clean):
            chosen = model.gradients_for_the_rule(at_w, variables)
        with passes.at(weights) as scope:
            epsilons = rule(chosen, variables, step)
        rule_state = passes.values(rule.variables, scope)

        # 3. Loss and gradients at w + e(w).
        with (
            passes.rewound(clean),
            outside.rewound(model, kept, afterwards=not of_a_part),
            noise.drawn_here(generators) as drawn,
        ):
            shifted = passes.run(before, batch, list(map(_shift, weights, epsilons)))
        noise.warn_of_noise(drawn, passes.compare(clean, shifted))
        left = passes.assigned_values(shifted.state, clean.state) if of_a_part else state
        return shifted.loss, passes.instantiated(shifted.gradients), rule_state, left

    def plain():
        return clean.loss, gradients, passes.values(rule.variables), state

    gradients = passes.instantiated(clean.gradients)
    shifted_loss, p, rule_state, left = passes.either(perturbing, perturbed, plain)
    # What layers assign and keep is that of the pass over the whole batch.
    after = passes.with_assigned(clean.state, left) if of_a_part else clean.state

    # 4. The optimizer gets the second gradients p, or what the rule makes of both.
    descent, rule_state = descended(passes, step, (gradients, p), rule_state, perturbing)
    finite = passes.finite(clean.loss, gradients) if model.skips_nonfinite else None
    return after, Outcome(clean.y_pred, clean.loss, shifted_loss, descent, rule_state, finite)


def _one_pass(passes, perturbing, kept, ascent_part, batch, before):
    """As `_both_passes`, for a rule that computes e(w) without the gradients at w."""
    del kept, ascent_part  # There is no clean pass.
    model, variables, rule = passes.model, passes.variables, passes.model.rule
    weights = passes.weights(passes.start)
    with passes.before():
        step = optimizers.steps_taken(model.optimizer)
        momentum = rule.reads == "momentum"
        read = optimizers.momenta(model.optimizer, variables) if momentum else weights

    def perturbed():
        with passes.before():
            chosen = model.gradients_for_the_rule(read, variables)
        with passes.at(weights) as scope:
            epsilons = rule(chosen, variables, step)
        return list(map(_shift, weights, epsilons)), passes.values(rule.variables, scope)

    def plain():
        return list(weights), passes.values(rule.variables)

    at, rule_state = passes.either(perturbing, perturbed, plain)
    only = passes.run(before, batch, at)
    _check_no_weight(passes.assigned(only.state), variables)
    gradients = passes.instantiated(only.gradients)
    finite = passes.finite(only.loss, gradients) if model.skips_nonfinite else None
    return only.state, Outcome(only.y_pred, only.loss, only.loss, gradients, rule_state, finite)


def _shift(weight, epsilon):
    if epsilon is None:
        return weight
    return weight + of_dtype(epsilon, weight.dtype)


def _check_no_weight(assigned, variables):
    """Refuses a layer that assigns weights: they would stay at w + e."""
    known = set(map(id, variables))
    weights = [v.path for v in assigned if id(v) in known]
    if weights:
        raise ValueError(
            "A layer must not assign weights of its own where the rule reads no gradients, and the "
            "only pass is at w + e: the weights would stay there. "
            f"Received: {weights} assigned"
        )

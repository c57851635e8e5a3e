"""Faults in the step that all backends share, and in what each backend has of its own.

A test notices each of them, on the backend that has it: of the default tier, or of the matrix.
"""

import keras

from tests.faults.table import Fault

STEP = "keras_zsharp/training/step.py"
GRADIENTS = "keras_zsharp/training/gradients.py"
LOGS = "keras_zsharp/training/logs.py"
MICRO_BATCHES = "keras_zsharp/training/micro_batches.py"
TURNS = "keras_zsharp/training/turns.py"
ASCENT = "keras_zsharp/training/ascent.py"
MIXIN = "keras_zsharp/training/mixin.py"
PARTS = "keras_zsharp/training/parts.py"
OF_ALL = "keras_zsharp/backend/passes.py"
JAX = "keras_zsharp/backend/jax/"
TORCH = "keras_zsharp/backend/torch/"

AGREES = "tests/backends/test_agreement.py::test_weights_after_twenty_steps[{}]"
TRAINING = "tests/backends/test_training.py::"
PLACES = "tests/backends/test_outside_state.py::"
NONFINITE = "tests/training/test_nonfinite.py::"
PASSES = "tests/backends/test_passes.py::"
FRACTION = "tests/backends/test_ascent_fraction.py::"

SHARED = [
    Fault(
        "the second gradient is taken at w",
        STEP,
        "return weight + of_dtype(",
        "return weight  # of_dtype(",
        AGREES.format("sam-"),
    ),
    Fault(
        "the perturbation is subtracted",
        STEP,
        "return weight + of_dtype(",
        "return weight - of_dtype(",
        AGREES.format("sam-"),
    ),
    Fault(
        "the optimizer gets the gradients at w",
        GRADIENTS,
        "passes.model.rule, both[1]",
        "passes.model.rule, both[0]",
        AGREES.format("zsharp-"),
    ),
    Fault(
        "a rule's own descent is forgotten",
        GRADIENTS,
        "if changes_descent(rule):",
        "if False and changes_descent(rule):",
        AGREES.format("look_sam-"),
    ),
    Fault(
        "what a rule's descent assigns is forgotten",
        GRADIENTS,
        "return changed, [scope.read(v) for v in rule.variables]",
        "return changed, list(rule_state)",
        AGREES.format("look_sam-"),
    ),
    Fault(
        "what a rule assigns is forgotten",
        STEP,
        "        rule_state = passes.values(rule.variables, scope)\n",
        "        rule_state = passes.values(rule.variables)\n",
        AGREES.format("friendly_sam-"),
    ),
    Fault(
        "the second pass draws other noise",
        STEP,
        "shifted = passes.run(before, batch,",
        "shifted = passes.run(clean.state, batch,",
        TRAINING + "test_both_passes_see_the_same_noise[1]",
    ),
    Fault(
        "statistics move twice a step",
        STEP,
        "return after, Outcome(",
        "return passes.run(clean.state, batch).state, Outcome(",
        TRAINING + "test_statistics_and_metrics_are_those_of_the_clean_pass",
    ),
    Fault(
        "the second pass starts from weights that the clean pass has assigned",
        STEP,
        "        # 3. Loss and gradients at w + e(w).\n",
        "        weights[:] = [0.5 * w for w in weights]\n",
        "tests/backends/test_assigned_weights.py"
        "::test_with_next_to_no_radius_it_is_plain_keras[Halved-wrapper-True]",
    ),
    Fault(
        "state outside of variables moves in both passes",
        STEP,
        "            outside.rewound(model, kept, afterwards=not of_a_part),\n",
        "",
        PLACES + "test_every_place_moves_once_a_step[eager-wrapper]",
    ),
    Fault(
        "a skipped step moves state outside of variables",
        STEP,
        "kept.put_back_unless(outcome.finite)",
        "pass",
        PLACES + "test_a_step_that_is_skipped_leaves_all_as_it_was",
    ),
    Fault(
        "an overflow in the second pass goes unseen",
        STEP,
        "passes.everywhere(outcome.finite & finite)",
        "passes.everywhere(outcome.finite)",
        NONFINITE + "test_overflow_in_the_second_pass_alone[True-graph]",
    ),
    Fault(
        "noise that differs is not warned of",
        STEP,
        "noise.warn_of_noise(drawn, passes.compare(clean, shifted))",
        "passes.compare(clean, shifted)",
        TRAINING + "test_noise_that_the_passes_do_not_share_is_warned_of",
    ),
    Fault(
        "`perturb_only` is forgotten",
        STEP,
        "            chosen = model.gradients_for_the_rule(at_w, variables)\n",
        "            chosen = at_w\n",
        "tests/training/test_perturb_only.py::test_the_step_by_hand[graph]",
    ),
    Fault(
        "a step along the momentum is taken at w",
        STEP,
        "return list(map(_shift, weights, epsilons)), passes.values(rule.variables, scope)",
        "return list(weights), passes.values(rule.variables, scope)",
        AGREES.format("msam-"),
    ),
    Fault(
        "`perturb_from` is forgotten",
        TURNS,
        "conditions.append(step >= first)",
        "pass",
        PASSES + "test_passes_of_each_step[perturb_from-default]",
    ),
    Fault(
        "every step perturbs, whatever `perturb_every` says",
        TURNS,
        "each = options.perturb_every == 1 and not options.perturb_from",
        "each = True",
        PASSES + "test_passes_of_each_step[perturb_every-default]",
    ),
    Fault(
        "a radius that is set is not looked at",
        MIXIN,
        "        if self.train_function is not None:\n            self.make_train_function()\n",
        "        pass\n",
        PASSES + "test_a_radius_that_a_callback_sets[default]",
    ),
    Fault(
        "losses that are sums are averaged",
        PARTS,
        "elif reduction not in MEANS:",
        "elif reduction is None:",
        "tests/backends/test_parts.py::test_losses_that_may_be_none",
    ),
    Fault(
        "the ascent takes the whole batch",
        ASCENT,
        "return cut([(begin, begin + length(end - begin)) for begin, end in bounds])",
        "return batch",
        FRACTION + "test_a_step_of_numpy[1-10-0.25]",
    ),
    Fault(
        "the part of the ascent is rounded down",
        ASCENT,
        "return max(1, rounded_up(fraction * size))",
        "return max(1, int(fraction * size + ROUNDING))",
        FRACTION + "test_a_step_of_numpy[1-10-0.25]",
    ),
    Fault(
        "a part that rounds to nothing takes no example",
        ASCENT,
        "return max(1, rounded_up(fraction * size))",
        "return rounded_up(fraction * size)",
        FRACTION + "test_a_step_of_numpy[1-8-1e-15]",
    ),
    Fault(
        "statistics are those of the part of the ascent",
        STEP,
        "after = passes.with_assigned(clean.state, left) if of_a_part else clean.state",
        "after = clean.state",
        FRACTION + "test_state_is_that_of_the_pass_over_the_whole_batch[True-options0]",
    ),
    Fault(
        "a rule that descends along both gradients gets one of a part",
        ASCENT,
        "elif gradients.changes_descent(rule):",
        "elif not rule:",
        FRACTION + "test_rules_for_which_the_gradients_are_no_direction[gsam]",
    ),
    Fault(
        "a share is one of an epoch",
        TURNS,
        '= before, self.params["epochs"] * each',
        "= before, each",
        "tests/backends/test_late_share.py::test_the_first_step_is_that_share_of_all[0.5-2-4]",
    ),
    Fault(
        "statistics of the mean are those of the last epoch",
        "keras_zsharp/callbacks/weight_averaging.py",
        "                estimate(self.model, normalizing,",
        "                (lambda *_: None)(self.model, normalizing,",
        "tests/callbacks/test_weight_averaging.py::test_statistics_are_those_of_the_mean",
    ),
    Fault(
        "sharpness has the wrong sign",
        LOGS,
        "sharpness = calling.unscale_loss(outcome.shifted_loss) - loss",
        "sharpness = loss - calling.unscale_loss(outcome.shifted_loss)",
        TRAINING + "test_both_passes_see_the_same_noise[1]",
    ),
]
"""They are noticed on each backend."""

OF_JAX = [
    Fault(
        "the training phase is lost",
        JAX + "passes.py",
        "                training=True,\n",
        "                training=False,\n",
        TRAINING + "test_without_radius_equals_plain_keras[two passes-0.5-default]",
    ),
    Fault(
        "what a pass assigns is lost",
        JAX + "passes.py",
        "before._replace(others=others, metrics=metrics)",
        "before._replace(metrics=metrics)",
        TRAINING + "test_without_radius_equals_plain_keras[two passes-0.5-default]",
    ),
    Fault(
        "the second pass is at the weights before the step",
        JAX + "passes.py",
        "weights = before.weights if at is None else list(at)",
        "weights = before.weights",
        AGREES.format("sam-"),
    ),
    Fault(
        "weights without influence have no gradient for the optimizer",
        JAX + "passes.py",
        "return [jnp.zeros(v.shape, v.dtype) if g is None else g for g, v in pairs]",
        "return [g for g, _ in pairs]",
        TRAINING + "test_weights_without_influence_end_as_in_plain_keras",
    ),
    Fault(
        "the host's answer is not asked for",
        JAX + "passes.py",
        "perturbing = perturbs() if self._told is None else self._told",
        "perturbing = True",
        PASSES + "test_passes_of_each_step[perturb_every-default]",
    ),
    Fault(
        "a skipped step moves BatchNormalization",
        JAX + "passes.py",
        "            clean = clean._replace(others=_where(finite, clean.others, before.others))\n",
        "",
        TRAINING + "test_a_step_that_is_not_finite_is_skipped_as_a_whole[zsharp]",
    ),
    Fault(
        "the loss scale does not halve",
        JAX + "passes.py",
        "nothing = jnp.where(finite, 0.0, jnp.nan)",
        "nothing = jnp.where(finite, 0.0, 0.0)",
        "tests/training/test_nonfinite.py::test_infinite_gradients_in_the_first_pass_alone[graph]",
    ),
    Fault(
        "the rule's new state does not reach the state",
        JAX + "passes.py",
        "clean = with_values(self.model, clean, rule_variables, outcome.rule_state)",
        "clean = with_values(self.model, clean, [], [])",
        AGREES.format("friendly_sam-"),
    ),
    Fault(
        "a micro-batch does not start from the state after the one before",
        MICRO_BATCHES,
        "clean, outcome = take(micro_batch, clean)",
        "clean, outcome = take(micro_batch, passes.start)",
        TRAINING + "test_micro_batches_are_as_if_one_followed_the_other[zsharp]",
    ),
    Fault(
        "the loop over micro-batches adds up, and does not average",
        JAX + "loops.py",
        "return total + value / len(batches)",
        "return total + value",
        "tests/backends/test_descents.py::test_steps_by_the_equations[parts-None-default]",
    ),
    Fault(
        "replicas have the same seeds",
        JAX + "devices.py",
        "value.at[0].add(index.astype(value.dtype)) if id(variable) in seeds else value",
        "value",
        "tests/backends/test_devices.py::test_each_replica_has_seeds_of_its_own",
    ),
    Fault(
        "what looks like a random seed is one",
        JAX + "devices.py",
        "if id(variable) in seeds else value",
        'if value.dtype == "uint32" and value.shape == (2,) else value',
        "tests/backends/test_devices.py::test_state_that_looks_like_a_seed_is_none",
    ),
    Fault(
        "a variable without a place in the state is dropped",
        JAX + "trainer.py",
        "        check_complete(self)\n",
        "",
        "tests/backends/test_stateless.py::test_a_variable_without_a_place_in_the_state_is_an_error",
    ),
]
OF_TORCH = [
    Fault(
        "what a pass assigns is lost",
        TORCH + "scope.py",
        "        self._updates[id(variable)] = variable\n",
        "",
        TRAINING + "test_without_radius_equals_plain_keras[two passes-0.5-eager]",
    ),
    Fault(
        "a micro-batch does not start from the state after the one before",
        MICRO_BATCHES,
        "clean, outcome = take(micro_batch, clean)",
        "clean, outcome = take(micro_batch, passes.start)",
        AGREES.format("zsharp-micro_batches"),
    ),
    Fault(
        "the second pass draws PyTorch's own noise anew",
        TORCH + "passes.py",
        "return randomness.rewound(clean.trace)",
        "return contextlib.nullcontext()",
        "tests/backends/test_emulated_devices.py"
        "::test_both_passes_draw_from_devices_what_plain_keras_draws[mps]",
    ),
    Fault(
        "the generators of all devices but one are forgotten",
        TORCH + "randomness.py",
        "for i in range(count):",
        "for i in range(min(count, 1)):",
        "tests/backends/test_emulated_devices.py"
        "::test_generators_of_devices_are_saved_with_the_model[cuda]",
    ),
    Fault(
        "masks of predictions are lost",
        TORCH + "passes.py",
        "return calling.with_mask(prediction.detach(), mask)",
        "return prediction.detach()",
        "tests/backends/test_masks.py::test_metrics_leave_out_what_is_masked[wrapper-whole-True]",
    ),
    Fault(
        "tensors of variables may change in place",
        TORCH + "passes.py",
        "with torch.enable_grad(), scope, in_place_refused:",
        "with torch.enable_grad(), scope:",
        "tests/backends/test_assigned_weights.py::test_tensors_that_change_in_place_are_refused",
    ),
    Fault(
        "hooks of parameters do not run",
        TORCH + "backward.py",
        "            _HandOn.apply(handed_on, *[parameters[i] for i in reached]).backward()\n",
        "            for i, gradient in zip(reached, handed_on):\n"
        "                parameters[i].grad = gradient\n",
        "tests/backends/test_backward.py::test_rows_that_a_hook_freezes_stay_and_are_not_perturbed",
    ),
    Fault(
        "layers are computed again outside of the pass",
        TORCH + "passes.py",
        "            # What is computed again while going backward belongs to the pass, too.\n"
        "            gradients =",
        "        if True:\n            gradients =",
        "tests/backends/test_remat.py"
        "::test_layers_that_are_computed_again_see_the_weights_of_the_pass",
    ),
    Fault(
        "gradients of the step before are added up",
        TORCH + "passes.py",
        "            backward.zero_grad(self.model, scope.weights, self.variables)\n",
        "",
        AGREES.format("sam-"),
    ),
    Fault(
        "the optimizer's gradients are not left in `.grad`",
        TORCH + "passes.py",
        "        backward.leave(self.variables, outcome.gradients)\n",
        "",
        "tests/backends/test_backward.py"
        "::test_the_optimizers_gradients_are_left_also_by_rules_that_change_them",
    ),
    Fault(
        "an error leaves gradients of the step",
        TORCH + "passes.py",
        "            backward.put_back(self.variables, always),\n",
        "",
        "tests/backends/test_backward.py::test_an_error_in_the_second_pass_leaves_the_gradients",
    ),
]

HERE = [*SHARED, *{"jax": OF_JAX, "torch": OF_TORCH}.get(keras.backend.backend(), [])]
"""Those that are noticed on this backend."""

"""Faults that others have made, or that a change could make: a line each, and the test for it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is wrong in a copy of the library, and a test of the default tier that notices.

    Attributes:
        what: The fault in words.
        file: The module, relative to the root.
        old: Text that stands in it once.
        new: What stands there instead.
        test: The test that fails, as pytest names it.
    """

    what: str
    file: str
    old: str
    new: str
    test: str


STEP = "keras_zsharp/training/step.py"
PASSES = "keras_zsharp/backend/tensorflow/passes.py"
MIXIN = "keras_zsharp/training/mixin.py"
SAVING = "keras_zsharp/training/saving.py"
GRADIENTS = "keras_zsharp/backend/tensorflow/gradients.py"
SCOPE = "keras_zsharp/backend/tensorflow/scope.py"
FINITE = "keras_zsharp/backend/tensorflow/finite.py"
MICRO_BATCHES = "keras_zsharp/training/micro_batches.py"
LOGS = "keras_zsharp/training/logs.py"
TURNS = "keras_zsharp/training/turns.py"
BASE = "keras_zsharp/rules/base.py"
MASKS = "keras_zsharp/selection/masks.py"
RULES = "keras_zsharp/rules/"

FAULTS = [
    # The two passes.
    Fault(
        "the second gradient is taken at w",
        STEP,
        "return weight + of_dtype(",
        "return weight  # of_dtype(",
        "tests/training/test_step.py::test_closed_form_on_a_quadratic[graph]",
    ),
    Fault(
        "the optimizer is given the gradients at w",
        "keras_zsharp/training/gradients.py",
        "passes.model.rule, both[1]",
        "passes.model.rule, both[0]",
        "tests/training/test_step.py::test_closed_form_on_a_quadratic[graph]",
    ),
    Fault(
        "the perturbation is subtracted",
        STEP,
        "return weight + of_dtype(",
        "return weight - of_dtype(",
        "tests/training/test_step.py::test_closed_form_on_a_quadratic[graph]",
    ),
    Fault(
        "BatchNormalization is updated by both passes",
        STEP,
        "noise.warn_of_noise(drawn, passes.compare(clean, shifted))\n",
        "noise.warn_of_noise(drawn, passes.compare(clean, shifted))\n"
        "        again = passes.run(clean.state, batch, weights)\n"
        "        clean.state.state_mapping.update(again.state.state_mapping)\n",
        "tests/training/test_nothing_leaks.py::test_batch_normalization_sees_one_clean_pass[graph]",
    ),
    Fault(
        "BatchNormalization is updated by the second pass",
        STEP,
        "noise.warn_of_noise(drawn, passes.compare(clean, shifted))\n",
        "shifts = shifted.state.state_mapping\n"
        "        clean.state.state_mapping.update({k: shifts[k] for k in clean.state._updates})\n",
        "tests/training/test_nothing_leaks.py::test_batch_normalization_sees_one_clean_pass[graph]",
    ),
    Fault(
        "the second pass starts from the weights that the clean pass has assigned",
        STEP,
        "        # 3. Loss and gradients at w + e(w).\n",
        "        weights[:] = passes.values(variables, clean.state)\n",
        "tests/backends/test_assigned_weights.py::"
        "test_with_next_to_no_radius_it_is_plain_keras[Halved-wrapper-False]",
    ),
    Fault(
        "the second pass draws other dropout",
        STEP,
        "shifted = passes.run(before, batch,",
        "shifted = passes.run(clean.state, batch,",
        "tests/training/test_nothing_leaks.py::test_both_passes_see_the_same_dropout[graph]",
    ),
    Fault(
        "seeds that a loop moves are not put back for the second pass",
        PASSES,
        "clean.state.rewind()\n",
        "pass\n",
        "tests/training/test_keras_behaves.py::test_agrees_with_perturb_and_restore[custom_cell-graph]",
    ),
    Fault(
        "what a layer assigns to its own weight passes no gradient on",
        SCOPE,
        "lambda upstream: (upstream, None)",
        "lambda upstream: (None, upstream)",
        "tests/training/test_keras_behaves.py::test_agrees_with_perturb_and_restore[spectral-graph]",
    ),
    Fault(
        "regularizers are left out of the gradients",
        PASSES,
        "return self.model.optimizer.scale_loss(loss), loss, y_pred",
        "return self.model.optimizer.scale_loss(loss - sum(self.model.losses)), loss, y_pred",
        "tests/training/test_keras_behaves.py::test_agrees_with_perturb_and_restore[everything-graph]",
    ),
    Fault(
        "regularizers are taken at w in the second pass",
        PASSES,
        "        def scaled():\n"
        "            y_pred = calling.forward(self.model, x)\n"
        "            loss = calling.compute_loss("
        "self.model, x, y, y_pred, sample_weight)\n",
        "        variables = self.variables\n"
        "        at_w = [tf.identity(scoping.stored(v).value()) for v in variables]\n\n"
        "        def scaled():\n"
        "            y_pred = calling.forward(self.model, x)\n"
        "            loss = calling.compute_loss(self.model, x, y, y_pred, sample_weight)\n"
        "            for v, w, value in zip(variables, weights, at_w):\n"
        "                if v.regularizer is not None:\n"
        "                    unshifted = w - tf.stop_gradient(w - value)\n"
        "                    loss += v.regularizer(unshifted) - v.regularizer(w)\n",
        "tests/training/test_step.py::test_regularizers_count_at_the_shifted_weights[graph]",
    ),
    Fault(
        "losses that layers add are not collected",
        "keras_zsharp/backend/tensorflow/weight_scope.py",
        "collect_losses=True",
        "collect_losses=False",
        "tests/training/test_keras_behaves.py::test_agrees_with_perturb_and_restore[everything-graph]",
    ),
    Fault(
        "sample weights are forgotten",
        PASSES,
        "compute_loss(self.model, x, y, y_pred, sample_weight)",
        "compute_loss(self.model, x, y, y_pred, None)",
        "tests/training/test_keras_behaves.py::test_agrees_with_perturb_and_restore[class_weight-graph]",
    ),
    # What the logs show.
    Fault(
        "the logged loss is that at w + e",
        LOGS,
        "loss = calling.unscale_loss(outcome.loss)",
        "loss = calling.unscale_loss(outcome.shifted_loss)",
        "tests/training/test_step.py::test_closed_form_on_a_quadratic[graph]",
    ),
    Fault(
        "sharpness has the wrong sign",
        LOGS,
        "sharpness = calling.unscale_loss(outcome.shifted_loss) - loss",
        "sharpness = loss - calling.unscale_loss(outcome.shifted_loss)",
        "tests/training/test_step.py::test_closed_form_on_a_quadratic[graph]",
    ),
    Fault(
        "metrics see the predictions at w + e",
        STEP,
        "return after, Outcome(clean.y_pred,",
        "e = [3.0 * ops.sign(g) for g in gradients]\n"
        "    shifted = passes.run(before, batch, list(map(_shift, weights, e)))\n"
        "    return after, Outcome(shifted.y_pred,",
        "tests/training/test_step.py::test_metrics_are_those_of_the_clean_pass",
    ),
    Fault(
        "the last, smaller batch counts as much as the others",
        "keras_zsharp/keras_internals/calling.py",
        "update_state(loss, sample_weight=size_of(x))",
        "update_state(loss)",
        "tests/training/test_micro_batches.py::test_metrics_see_all_predictions_and_the_last_batch_may_be_small[eager]",
    ),
    Fault(
        "validation logs a sharpness",
        STEP,
        "shown.pop(metric.name, None)",
        "pass",
        "tests/training/test_step.py::test_history_holds_the_clean_loss_and_the_sharpness",
    ),
    # Scales of the loss, and steps that are skipped.
    Fault(
        "the loss scale is forgotten in both passes",
        PASSES,
        "return self.model.optimizer.scale_loss(loss), loss, y_pred",
        "return loss, loss, y_pred",
        "tests/training/test_step.py::test_mixed_precision_scales_both_passes_and_the_rule_sees_no_scale",
    ),
    Fault(
        "the rule sees the loss scale",
        "keras_zsharp/backend/passes.py",
        "return [None if g is None else g / ops.cast(scale, g.dtype) for g in gradients]",
        "return gradients",
        "tests/training/test_step.py::test_mixed_precision_scales_both_passes_and_the_rule_sees_no_scale",
    ),
    Fault(
        "a replica's share of the loss is forgotten",
        GRADIENTS,
        "scale /= replicas.num_replicas_in_sync",
        "pass",
        "tests/training/test_gradients.py::test_gradients_are_those_of_the_whole_loss[replica-1.0]",
    ),
    Fault(
        "a skipped step still moves the rule's averages",
        PASSES,
        "assign_if(outcome.finite, variable, value)",
        "assign_if(None, variable, value)",
        "tests/training/test_nonfinite.py::test_a_bad_batch_changes_nothing[nan-micro_batches-graph]",
    ),
    Fault(
        "a skipped step still moves BatchNormalization",
        PASSES,
        "clean.commit(outcome.finite)",
        "clean.commit()",
        "tests/training/test_nonfinite.py::test_a_bad_batch_changes_nothing[inf-whole-graph]",
    ),
    Fault(
        "an overflow in the second pass alone goes unseen",
        STEP,
        "passes.everywhere(outcome.finite & finite)",
        "passes.everywhere(outcome.finite)",
        "tests/training/test_nonfinite.py::test_overflow_in_the_second_pass_alone[True-graph]",
    ),
    Fault(
        "the loss scale does not halve where a step is skipped",
        FINITE,
        "gradients = _poisoned(gradients, finite)",
        "pass",
        "tests/training/test_nonfinite.py::test_infinite_gradients_in_the_first_pass_alone[graph]",
    ),
    Fault(
        "sharpness includes skipped steps",
        LOGS,
        "perturbing &= outcome.finite",
        "pass",
        "tests/training/test_nonfinite.py::test_sharpness_is_the_mean_of_the_steps_that_were_taken",
    ),
    # Intervals and micro-batches.
    Fault(
        "plain steps come before perturbed ones",
        TURNS,
        "(step - first) % options.perturb_every == 0",
        "(step + 1 - first) % options.perturb_every == 0",
        "tests/training/test_plain_steps.py::test_averages_stand_still_on_plain_steps_and_schedules_do_not[every-graph]",
    ),
    Fault(
        "a radius of 0 takes two passes",
        BASE,
        "return type(self).rho.tensor(self, step) != 0",
        "return ops.ones((), 'bool')",
        "tests/training/test_plain_steps.py::test_averages_stand_still_on_plain_steps_and_schedules_do_not[zero-graph]",
    ),
    Fault(
        "micro-batches of different sizes weigh the same",
        MICRO_BATCHES,
        "weights = [size / sum(sizes) for size in sizes]",
        "weights = [1 / len(sizes) for _ in sizes]",
        "tests/training/test_micro_batches.py::test_step_is_the_mean_of_the_steps_of_the_micro_batches[0.5-two_outputs-graph]",
    ),
    Fault(
        "a micro-batch does not start from the state after the one before",
        MICRO_BATCHES,
        "clean, outcome = take(micro_batch, clean)",
        "clean, outcome = take(micro_batch, passes.start)",
        "tests/training/test_micro_batches.py::test_state_goes_from_one_to_the_next[graph]",
    ),
    Fault(
        "the rule keeps the averages of the first micro-batch",
        MICRO_BATCHES,
        'mean_of(values) if variable.aggregation == "mean" else values[0]',
        "values[0]",
        "tests/training/test_micro_batches.py::test_average_is_that_of_the_whole_batch",
    ),
    # The masks.
    Fault(
        "ties at the quantile are kept: >= for >",
        MASKS,
        "masks = self.scores > thresholds[:, None]",
        "masks = self.scores >= thresholds[:, None]",
        "tests/selection/test_order.py::test_ties_at_the_cut_are_dropped",
    ),
    Fault(
        "the quantile's rank is off by one",
        MASKS,
        "np.floor((sizes - 1) * q_p)",
        "np.floor(sizes * q_p)",
        "tests/selection/test_order.py::test_mask_keeps_the_documented_count[20-0.75]",
    ),
    Fault(
        "a rank is computed from what float32 makes of q_p",
        MASKS,
        'if backend.standardize_dtype(q_p.dtype) == "float32":',
        "if False:",
        "tests/selection/test_order.py::test_rank_of_a_tensor_is_that_of_the_number[float32]",
    ),
    Fault(
        "padding of short rows is part of their quantiles",
        MASKS,
        "return ops.where(is_padding(values, self.sizes), lowest, values)",
        "return values",
        "tests/selection/test_order.py::test_masks_of_many_gradients_are_those_of_each[eager]",
    ),
    Fault(
        "the search stops one place too early",
        "keras_zsharp/selection/search.py",
        "enough = above >= self.k",
        "enough = above > self.k",
        "tests/selection/test_order.py::test_search_equals_sorting[normal-eager-1025]",
    ),
    Fault(
        "scores are not taken from the mean",
        "keras_zsharp/selection/scores.py",
        "return ops.abs(rows - mean[:, None])",
        "return ops.abs(rows)",
        "tests/selection/test_order.py::test_mask_is_the_quantile_of_absolute_z_scores[0.9]",
    ),
    Fault(
        "a mask hides NaN",
        RULES + "zsharp.py",
        "lambda g, c: g * ops.cast(next(masks), g.dtype) if c else g, gradients",
        "lambda g, c: ops.where(next(masks), g, 0) if c else g, gradients",
        "tests/rules/test_rules.py::TestEveryRule::test_poison_is_not_hidden[zsharp-nan]",
    ),
    # The rules.
    Fault(
        "ZSharp perturbs nothing where nothing stands out",
        RULES + "zsharp.py",
        "return to_radius(each(lambda f, g: ops.where(norm > 0, f, g), filtered, gradients), rho)",
        "return to_radius(filtered, rho)",
        "tests/rules/test_rules.py::test_zsharp_falls_back_to_sam_where_nothing_stands_out",
    ),
    Fault(
        "ZSharp filters variables of rank 1",
        RULES + "zsharp.py",
        "return rank(variable) >= self.min_rank and",
        "return rank(variable) >= self.min_rank - 1 and",
        "tests/rules/test_rules.py::test_length_of_each_filtered_variable_is_rho_per_variable",
    ),
    Fault(
        "Friendly-SAM's average is fed the gradient that is already shifted",
        RULES + "friendly_sam.py",
        "(1 - self.lmbda) * ops.cast(gradient, average.dtype)",
        "(1 - self.lmbda) * (ops.cast(gradient, average.dtype) - self.sigma * average)",
        "tests/test_conformance.py::test_perturbations_of_steps[cnn-fsam-0.9-1.0]",
    ),
    Fault(
        "Friendly-SAM subtracts the average of before the step",
        RULES + "friendly_sam.py",
        "return gradient - self.sigma * ops.cast(updated, gradient.dtype)",
        "before = (updated - (1 - self.lmbda) * gradient) / self.lmbda\n"
        "            return gradient - self.sigma * before",
        "tests/test_conformance.py::test_perturbations_of_steps[cnn-fsam-0.9-0.5]",
    ),
    Fault(
        "biases are treated as kernels",
        RULES + "variables.py",
        'in ("bias", "beta")',
        "in ()",
        "tests/rules/test_rules.py::test_hand_computed_goldens",
    ),
    Fault(
        "ASAM multiplies by T once",
        RULES + "operators.py",
        "return each(ops.multiply, scaled, operators)",
        "return scaled",
        "tests/rules/test_rules.py::test_hand_computed_goldens",
    ),
    Fault(
        "GSAM adds what it should take off",
        RULES + "gsam.py",
        "p - scale(g - a, self.alpha)",
        "p + scale(g - a, self.alpha)",
        "tests/rules/test_rules.py::test_hand_computed_goldens",
    ),
    Fault(
        "LookSAM keeps all of the second gradient",
        RULES + "look_sam.py",
        "scale(p - a, inverse)",
        "scale(p, inverse)",
        "tests/rules/test_rules.py::test_hand_computed_goldens",
    ),
    Fault(
        "SANER scales down what SAM makes larger",
        RULES + "saner.py",
        "ops.abs(p) < ops.abs(g)",
        "ops.abs(p) > ops.abs(g)",
        "tests/rules/test_rules.py::test_hand_computed_goldens",
    ),
    Fault(
        "AWP's radii do not go with the kernels' lengths",
        RULES + "awp.py",
        "rho * global_norm([v])",
        "rho",
        "tests/rules/test_rules.py::test_hand_computed_goldens",
    ),
    Fault(
        "RandomSAM draws the same direction in each step",
        RULES + "random_sam.py",
        "seed=self.seed_generator",
        "seed=3",
        "tests/rules/test_rules.py::test_random_directions_are_drawn_anew_and_can_be_repeated",
    ),
    Fault(
        "LESAM's radius is the larger of two",
        RULES + "le_sam.py",
        "ops.minimum(",
        "ops.maximum(",
        "tests/rules/test_rules.py::test_hand_computed_goldens",
    ),
    Fault(
        "squares of half precision overflow",
        RULES + "operators.py",
        'in ("float16", "bfloat16")\n',
        "in ()\n",
        "tests/rules/test_rules.py::TestEveryRule::test_half_precision_gradients[sam]",
    ),
    Fault(
        "scales of float8 count as weights",
        "keras_zsharp/keras_internals/optimizers.py",
        'return getattr(variable, "overwrite_with_gradient", False)',
        "return False",
        "tests/rules/test_rules.py::test_variables_overwritten_with_their_gradient_are_no_weights",
    ),
    Fault(
        "a schedule of rho stands still",
        RULES + "hyperparameter.py",
        'ops.cast(stored(step), "float32")',
        'ops.cast(stored(0), "float32")',
        "tests/training/test_plain_steps.py::test_averages_stand_still_on_plain_steps_and_schedules_do_not[every-graph]",
    ),
    # What is saved.
    Fault(
        "the rule is missing in a model's config",
        SAVING,
        '"rule": keras.saving.serialize_keras_object(self.rule),',
        "",
        "tests/training/test_settings.py::test_saved_as_they_are_set[mixin]",
    ),
    Fault(
        "the settings of the step are missing in a model's config",
        SAVING,
        "**self.step_options.to_config(),",
        "",
        "tests/training/test_settings.py::test_saved_as_they_are_set[mixin]",
    ),
    Fault(
        "a model that is loaded does not heed what its constructor does not know",
        SAVING,
        "setattr(model, name, value)",
        "pass",
        "tests/training/test_settings.py::test_saved_as_they_are_set[of one rule]",
    ),
    Fault(
        "a setting that is assigned after the first step is not heeded",
        MIXIN,
        "self.make_train_function(force=True)",
        "pass",
        "tests/training/test_settings.py::test_in_force_from_the_next_step[skip_nonfinite-graph]",
    ),
    Fault(
        "a rule that was replaced stays with the model",
        MIXIN,
        "tracking.replace_layer(self, old, rule)",
        "pass",
        "tests/training/test_settings.py::test_a_rule_has_one_model_at_a_time",
    ),
    Fault(
        "the wrapper casts inputs",
        "keras_zsharp/keras_internals/calling.py",
        "wrapper._convert_input_args = False",
        "pass",
        "tests/training/test_inputs.py::test_a_wrapper_trains_what_the_net_alone_would[normalization-mixed_float16]",
    ),
    Fault(
        "an input that is not named is cut with the batch",
        "keras_zsharp/training/parts.py",
        "path[0] or every or",
        "True or every or",
        "tests/training/test_batches_cut.py::test_a_bank_belongs_to_every_micro_batch[bank-graph]",
    ),
    Fault(
        "a class with a step of its own trains plainly",
        "keras_zsharp/training/own_steps.py",
        'if not self.__dict__["_took_two_passes"]:',
        "if False:",
        "tests/training/test_own_steps.py::test_a_step_that_does_not_is_refused[Plain-graph]",
    ),
    Fault(
        "an override that only plain Keras calls is dropped",
        "keras_zsharp/training/reached.py",
        "    if not names:\n        return []\n",
        "    return []\n",
        "tests/backends/test_methods_reached.py::test_what_the_next_keras_calls_is_refused",
    ),
    Fault(
        "an average goes on with another variable of its shape",
        RULES + "keeping.py",
        "self._bind(variables)",
        "pass",
        "tests/training/test_composition.py::test_an_average_stays_with_its_variable[graph]",
    ),
    Fault(
        "a setting is missing in a rule's config",
        RULES + "zsharp.py",
        'names = ("norm", "min_rank", "score", "percentile_scope")',
        'names = ("norm", "min_rank", "score")',
        "tests/rules/test_rules.py::TestEveryRule::test_every_argument_is_in_the_config[zsharp]",
    ),
    Fault(
        "the state of seeds is not saved",
        SAVING,
        "        seeds.save(self, store)\n",
        "",
        "tests/test_saving.py::test_two_and_two_epochs_across_a_save_equal_four[noisy]",
    ),
    # Weights in sight.
    Fault(
        "what is rematerialized has no gradient",
        "keras_zsharp/backend/tensorflow/weight_scope.py",
        "stand_in.accessed()",
        "pass",
        "tests/training/test_weights_in_sight.py::test_trains_as_plain_keras[rematerialized-graph]",
    ),
    Fault(
        "a function may keep the weights of the first pass",
        "keras_zsharp/backend/tensorflow/carried.py",
        "if names:",
        "if False:",
        "tests/training/test_weights_in_sight.py::test_loss_that_is_a_function_with_weights_is_refused[graph-perturb_every]",
    ),
    Fault(
        "a branch hides what the second pass takes from the first",
        "keras_zsharp/backend/tensorflow/carried.py",
        "if second.graph is not first.graph:",
        "if False:",
        "tests/training/test_weights_in_sight.py::test_loss_that_is_a_function_with_weights_is_refused[graph-perturb_every]",
    ),
    Fault(
        "an interrupt tears an eager step",
        STEP,
        "whole.enter_context(passes.writing(kept))",
        "pass",
        "tests/training/test_interrupts.py::test_no_interrupt_tears_an_eager_step[4]",
    ),
    Fault(
        "noise that the passes do not share is not mentioned",
        "keras_zsharp/training/noise.py",
        "if sources:",
        "if False:",
        "tests/training/test_noise.py::test_noise_of_others_is_warned_of[tf.nn.dropout-graph]",
    ),
    # Around the step.
    Fault(
        "wrong labels may be the right ones",
        "keras_zsharp/data/noise.py",
        "random.integers(least, classes, size=len(moved))",
        "random.integers(0, classes, size=len(moved))",
        "tests/data/test_digits.py::test_noise_moves_training_labels_only",
    ),
    Fault(
        "every epoch has the same order",
        "keras_zsharp/data/epoch_order.py",
        "number, self._next = self._next, self._next + 1",
        "number = self._next",
        "tests/data/test_loading.py::test_a_resumed_run_reads_what_it_would_have_read[digits-cutout]",
    ),
    Fault(
        "a batch's size does not count in the measured loss",
        "keras_zsharp/flatness/averages.py",
        'values = [size * value.astype("float64") for value in values]\n',
        'values, size = [value.astype("float64") for value in values], 1\n',
        "tests/flatness/test_objective.py::test_loss_is_what_evaluate_says_of_shifted_weights[sequential]",
    ),
    Fault(
        "SAM-noise perturbs along the full gradient",
        "keras_zsharp/analysis/ascent_from.py",
        'return along if self.component == "full" else each(ops.subtract, gradients, along)',
        "return along",
        "tests/test_analysis.py::test_projection_of_the_batch_on_the_full_gradient[noise-eager]",
    ),
    Fault(
        "a model that takes no `training` is wrapped as if it did",
        "keras_zsharp/keras_internals/calling.py",
        "    wrapper._call_has_training_arg = model._call_has_training_arg\n",
        "",
        "tests/test_model.py::test_trains_in_the_phase_that_plain_keras_trains_in[WithOthers-graph]",
    ),
    Fault(
        "a wrapper does not log the metrics of the model inside",
        "keras_zsharp/inside.py",
        "(m for m in tracking.own_metrics(self.model) if id(m) not in known)",
        "()",
        "tests/test_model.py::test_wrapper_logs_the_metrics_of_the_model[graph]",
    ),
    Fault(
        "a loop of its own that does not come to the step goes unnoticed",
        "keras_zsharp/training/own_steps.py",
        "if moved and not model",
        "if False and not model",
        "tests/training/test_own_steps.py::test_a_loop_that_does_not_come_to_ours_is_refused[fit-mixin]",
    ),
    Fault(
        "what a model says trains is not asked",
        "keras_zsharp/keras_internals/tracking.py",
        "return model.trainable_variables if on_jax else model.trainable_weights",
        "return model.trainable_variables",
        "tests/test_in_place.py::test_what_a_model_says_of_its_weights_and_losses_counts[trainable_weights-last_alone]",
    ),
    Fault(
        "what a layer assigns to a variable of TensorFlow goes unnoticed",
        "keras_zsharp/backend/tensorflow/written.py",
        "if WRITES.fullmatch(each.type)]",
        "if False]",
        "tests/training/test_written.py::test_what_a_layer_assigns_is_refused[Assigning-graph-plain]",
    ),
]

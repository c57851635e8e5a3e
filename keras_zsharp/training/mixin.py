from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Literal

import keras

from keras_zsharp import interrupts, rules
from keras_zsharp.backend import surroundings
from keras_zsharp.keras_internals import fitting, names, saving, scoping, tracking
from keras_zsharp.rules import Rule
from keras_zsharp.training import (
    ascent,
    chosen,
    logs,
    noise,
    options,
    own_steps,
    parts,
    reached,
    scheduled,
    skipped,
    turns,
)
from keras_zsharp.training.saving import SavedWithItsRule, rule_of_the_config
from keras_zsharp.training.step import Step
from keras_zsharp.typing import BatchedInputs, Gradients, PerturbOnly, Variables


class SharpnessAwareTraining(SavedWithItsRule, Step):
    """Mixin that trains a `keras.Model` subclass sharpness-aware: a step takes two passes.

    1. Loss and gradients at w, the clean pass.
    2. The rule turns the gradients into a perturbation e(w).
    3. Loss and gradients at w + e(w).
    4. The optimizer applies the second gradients to w.

    If the radius is 0 or the options say so, a step is plain: it takes the first pass alone, and
    the optimizer applies its gradients.

    The weights stay at w, and a step writes nothing before both passes have ended. So an exception
    or an interrupt leaves the model as it was. An interrupt that comes while a step writes waits
    until it has written. On JAX this holds once `fit` or `train_on_batch` has raised the error: the
    model then has the state before the step, or before all `steps_per_execution` of them.

    The logs show the clean pass: loss, metrics, BatchNormalization statistics. They also have
    `sharpness`, the mean of `L(w + e) - L(w)`. Both passes see the same dropout and augmentation
    noise if layers draw it from `keras.random`. Noise from `tf.random` or NumPy differs, unless it
    comes from a generator that is an attribute of a layer.

    List the mixin before `keras.Model`, and pass `rule` on to `super().__init__`. A class
    may override `compute_loss` and `compute_metrics`. It may override `train_step` if it calls
    `super().train_step(data)`. A functional model (`Net(inputs, outputs)`) cannot have the mixin:
    use `sharpness_aware` or `SharpnessAwareModel`.

    What layers and losses keep outside of Keras variables (numbers, lists, arrays, PyTorch's
    buffers and generators, in attributes) is as the clean pass left it. What only closures, global
    variables, classes or iterators hold moves in both passes. In a graph of TensorFlow,
    assigning a `tf.Variable` is an error. Seeds that a graph draws from within a loop (dropout in a
    custom RNN cell) are updated in place, also if the step fails.

    Rematerialized layers (`keras.remat`, `keras.RematScope`) and `tf.custom_gradient` train as in
    plain Keras. A layer or loss that is a `tf.function` of its own keeps the weights with which it
    was traced: it raises an error. It may go unnoticed if it only assigns state and was traced
    before the model was built.

    Rule and options are saved with the model. They can be set at any time, also by a callback, and
    hold from the next step on: `model.rule = "sam"`, `model.perturb_every = 2`.

    Args:
        *args: None may be given: it would be a functional model.
        rule: A rule, such as `keras_zsharp.SAM(rho=0.05)`, or its name: `"sam"` to begin with,
            `"zsharp"` for the method of the paper.
        **kwargs: `perturb_every`, `perturb_from`, `perturb_only`, `ascent_fraction`,
            `micro_batches`, `batched_inputs`, `mean_of_parts`, `skip_nonfinite` and
            `perturbation_sync` say how the step is taken, see `keras_zsharp.training.StepOptions`.
            The others are passed on to `keras.Model`.

    Raises:
        TypeError: A class overrides a method that plain Keras would call and this step does not.
        TypeError, ValueError: `rule` is missing or no rule, or belongs to another model; what
            `StepOptions` raises. Before training on several devices: `gradient_accumulation_steps`,
            `steps_per_execution > 1` or, on CPUs, `jit_compile=True`, which fail there in plain
            Keras too.

    Example:

    >>> import keras
    >>> import keras_zsharp
    >>> class Net(keras_zsharp.SharpnessAwareTraining, keras.Model):
    ...     def __init__(self, rule="sam", **kwargs):
    ...         super().__init__(rule=rule, **kwargs)
    ...         self.dense = keras.layers.Dense(10)
    ...
    ...     def call(self, inputs):
    ...         return self.dense(inputs)
    >>> net = Net(rule="sam")
    >>> net.compile(optimizer="adamw", loss="mse")
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own_steps.check_bases(cls, SharpnessAwareTraining)
        if "train_step" in vars(cls):
            cls.train_step = own_steps.must_call_ours(cls, cls.train_step)
        for name in ("fit", "train_on_batch"):
            if name in vars(cls):
                setattr(cls, name, own_steps.must_train_by_ours(name, getattr(cls, name)))
        own = cls.get_config is SharpnessAwareTraining.get_config
        if own and saving.knows_the_arguments(super(SavedWithItsRule, cls).get_config):
            saving.leave_arguments_to_keras(cls)

    if TYPE_CHECKING:  # `__setattr__` does what the setter says.

        @property
        def rule(self) -> Rule: ...

        @rule.setter
        def rule(self, rule: Rule | str) -> None: ...

    perturb_every: options.Option[int] = options.Option()
    perturb_from: options.Option[int | float] = options.Option()
    perturb_only: options.Option[PerturbOnly] = options.Option()
    micro_batches: options.Option[int] = options.Option()
    batched_inputs: options.Option[BatchedInputs] = options.Option()
    mean_of_parts: options.Option[bool] = options.Option()
    ascent_fraction: options.Option[float] = options.Option()
    skip_nonfinite: options.Option[bool | None] = options.Option()
    perturbation_sync: options.Option[Literal["replica", "global"] | None] = options.Option()
    every_step_perturbs: bool | None = None
    inputs_are_arrays: bool = False
    """Whether `fit` cuts its inputs into batches itself. A step keeps what holds for its graph."""
    first_of_share: int | None = None
    """The step from which a `fit` perturbs whose `perturb_from` is a share."""

    def __init__(self, *args: Any, rule: Rule | str | None = None, **kwargs: Any) -> None:
        if args or "inputs" in kwargs or "outputs" in kwargs:
            raise TypeError(
                f"`{type(self).__name__}` cannot be constructed functionally. Build "
                "`keras.Model(inputs, outputs)` and wrap it in `SharpnessAwareModel`."
            )
        reached.check(type(self), SharpnessAwareTraining)
        step_options = options.taken_from(kwargs)
        try:
            super().__init__(**kwargs)
        except (TypeError, ValueError) as error:
            # Of Keras, or of a class further on, which may have taken what is no option.
            refused = [name for name in kwargs if repr(name) in str(error)]
            if hint := options.hint(refused):
                raise type(error)(f"{error}{hint}") from None
            raise
        self.become_sharpness_aware(rule_of_the_config() if rule is None else rule, step_options)

    def become_sharpness_aware(
        self, rule: Rule | str | None, step_options: options.StepOptions
    ) -> None:
        """Sets the attributes that the step needs. The model may be built.

        Args:
            rule: A rule, or its name.
            step_options: How the step is taken.
        """
        names.check(self)
        self.train_function = self.test_function = self.predict_function = None
        tracking.names_of_keras()
        with tracking.unlocked(self):
            self.step_options = step_options
            self.rule = rule
            self.sharpness_tracker = logs.Sharpness()
            with tracking.variables_of(self):
                self.skipping = skipped.Skipping()

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(getattr(type(self), name, None), options.Option):
            # Keras would track a variable as a weight of the model, also if it is refused.
            object.__setattr__(self, name, value)
            return
        if name not in ("rule", "step_options"):
            super().__setattr__(name, value)
            return
        # While JAX trains the model, its variables are empty: a new rule would leave them so.
        fitting.synced(self)
        old = tracking.attributes_of(self).get(name)
        if old is not None and (rule := tracking.rule_of(self)) is not None:
            fitting.check_set(self, name)
            rule.settled()  # Not in a graph.
        if name == "rule":
            value = rules.get(value)
            ascent.check(value, self.ascent_fraction)
            value = self._in_place_of(old, value)
        elif not isinstance(value, options.StepOptions):
            raise TypeError(f"`step_options` must be `StepOptions`. Received: {value!r}")
        elif old is not None:
            ascent.check(self.rule, value.ascent_fraction)
        super().__setattr__(name, value)
        if value != old and self.train_function is not None:
            # A graph keeps the rule and the options with which it was traced.
            self.make_train_function(force=True)

    def make_train_function(self, force: bool = False) -> None:
        """Makes the training program. It differs if every step perturbs or `fit` cuts arrays.

        Args:
            force: Whether to make it even if there is one.
        """
        settled = turns.settled(self)
        cut = parts.cut_by(self) is not None
        arrays = cut and self.__dict__.get("_cuts_arrays", False)
        now = settled, arrays, turns.first_of_share(self)
        if (self.every_step_perturbs, self.inputs_are_arrays, self.first_of_share) != now:
            self.every_step_perturbs, self.inputs_are_arrays, self.first_of_share = now
            force = True
        parts.check_layers(self)
        super().make_train_function(force)

    def rule_has_changed(self) -> None:
        """Updates the training program. The rule calls this after one of its numbers is set."""
        if self.train_function is not None:
            self.make_train_function()

    def _in_place_of(self, old, rule):
        """Binds the rule to this model, and frees the old one for another model."""
        rule.belong_to(self)
        if old is not None and rule is not old:
            tracking.replace_layer(self, old, rule)
            old.leave()
        return rule

    def ascent_gradients(self, gradients: Gradients, variables: Variables) -> Gradients:
        """The gradients that the rule gets in a step that perturbs: those at w, unless overridden.

        Override it to perturb along other gradients. The optimizer still gets the gradients of the
        second pass over the batch.

        Args:
            gradients: Dense gradients at w of the loss of the batch, or of a micro-batch. They have
                no loss scale. None where the loss does not depend on a variable.
            variables: The trainable variables. Their values are w.

        Returns:
            List of tensors with the gradients' shapes and dtypes, None for None.
        """
        return gradients

    def gradients_for_the_rule(self, gradients: Gradients, variables: Variables) -> Gradients:
        """Chooses among `ascent_gradients` those of the weights that `perturb_only` chooses.

        Args:
            gradients: As in `ascent_gradients`.
            variables: As in `ascent_gradients`.

        Returns:
            List of tensors, None for the weights that are not chosen.
        """
        ascent = self.ascent_gradients(gradients, variables)
        among = chosen.among(self, self.perturb_only, variables)
        return [g if is_chosen else None for g, is_chosen in zip(ascent, among, strict=True)]

    @property
    def layers(self) -> list[keras.Layer]:
        """The layers of the model, without the rule."""
        rule = tracking.rule_of(self)
        return [each for each in super().layers if each is not rule]

    @layers.setter
    def layers(self, value):
        keras.Model.layers.fset(self, value)

    @property
    def variables(self) -> list[Any]:
        """The variables of the model and of the rule, also of a `Sequential` made so in place.

        A `Sequential` lists its layers itself, and a rule that comes later is none of them.
        """
        found = super().variables
        known = set(map(id, found))
        return [*found, *(v for v in self._of_the_rule() if id(v) not in known)]

    @property
    def weights(self) -> list[Any]:
        """The weights of the network. The rule's variables are state, as random seeds are.

        So `get_weights`, `set_weights` and what puts back the best weights are about the network.
        """
        of_the_rule = set(map(id, self._of_the_rule()))
        return [v for v in super().weights if id(v) not in of_the_rule]

    def _of_the_rule(self):
        rule = tracking.rule_of(self)
        return rule.variables if rule else ()

    @property
    def metrics(self) -> list[keras.Metric]:
        """The metrics of the model and of training, also if a class overrides `metrics`."""
        found = super().metrics
        known = set(map(id, found))
        return [*found, *(each for each in self.training_metrics if id(each) not in known)]

    @property
    def training_metrics(self) -> list[keras.Metric]:
        """The metrics of training alone: `sharpness` and, if it skips steps, `skipped`."""
        if "skipping" not in self.__dict__:  # The constructor is not through.
            return []
        return [self.sharpness_tracker, *([self.skipping.metric] if self.skips_nonfinite else [])]

    def reset_metrics(self) -> None:
        """`keras.Model.reset_metrics`, with which an epoch begins. It warns if no step is taken."""
        self.skipping.warn(self)
        super().reset_metrics()

    @functools.wraps(keras.Model.fit)
    def fit(self, *args, **kwargs):
        x = args[0] if args else kwargs.get("x")
        self.__dict__["_cuts_arrays"] = fitting.are_arrays(x)
        try:
            with (
                turns.counted(self, super().fit, args, kwargs) as (args, kwargs),
                own_steps.by_our_step(self, "fit"),
            ):
                args, kwargs = scheduled.logged(self, super().fit, args, kwargs)
                history = super().fit(*args, **kwargs)
        finally:
            self.__dict__["_cuts_arrays"] = False
        self.skipping.warn(self)
        return history

    @functools.wraps(keras.Model.train_on_batch)
    def train_on_batch(self, *args, **kwargs):
        with own_steps.by_our_step(self, "train_on_batch"):
            logs = super().train_on_batch(*args, **kwargs)
        self.skipping.warn(self)
        return logs

    @interrupts.puts_back(scoping.open_scope, noise.who_notes, surroundings.modes)
    def train_step(self, *args: Any) -> Any:
        """Takes one training step.

        Args:
            *args: The batch; on JAX, the trainer's state before it.

        Returns:
            The logs; on JAX, the state after the step with them.
        """
        own_steps.note_two_passes(self)
        return super().train_step(*args)

    @property
    def skips_nonfinite(self) -> bool:
        """Whether the model skips steps whose loss or gradients are not finite."""
        if self.skip_nonfinite is None:
            # Before `compile` there is none.
            optimizer = getattr(self, "optimizer", None)
            return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        return self.skip_nonfinite

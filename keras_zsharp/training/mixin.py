import functools
import inspect

import keras

from keras_zsharp import keras_internals, perturbations
from keras_zsharp.training import chosen, files, options, own_steps, seeds, turns
from keras_zsharp.training.backends import TwoPassStep


class SharpnessAwareTraining(TwoPassStep):
    """Mixin that trains a `keras.Model` subclass sharpness-aware: a step takes two passes.

    1. Loss and gradients at w, the clean pass.
    2. The rule turns the gradients into a perturbation e(w).
    3. Loss and gradients at w + e(w).
    4. The optimizer applies the second gradients to w.

    Where nothing is to be perturbed (the radius is 0, or the options say so), a step is a plain
    one: it takes the first pass alone, and the optimizer applies its gradients.

    Nothing is written before both passes are through, and the weights never leave w: an exception
    or an interrupt in the middle leaves the model as it was. (One that comes while a step writes is
    held back until it has.) What the logs show is the clean pass: loss, metrics, BatchNormalization
    statistics; besides them `sharpness`, the mean of `L(w + e) - L(w)`. Both passes see the same
    dropout and augmentation noise, if it is that of `keras.random`: what a layer draws from
    `tf.random` or NumPy differs between them.

    List the mixin before `keras.Model`, and hand `perturbation` on to `super().__init__`. A class
    may override `compute_loss` and `compute_metrics`, and `train_step` if that calls
    `super().train_step(data)` for the step itself. Do not construct it functionally
    (`Net(inputs, outputs)`): wrap such a model in `SharpnessAwareModel` instead.

    Side effects outside of Keras variables, such as a `tf.Variable` that a layer updates by hand,
    happen in both passes. Seeds that a graph draws from within a loop (dropout in a custom RNN
    cell) move on in place, also where the step fails.

    Rematerialized layers (`keras.remat`, `keras.RematScope`) and `tf.custom_gradient` train as in
    plain Keras. A layer or loss that is a `tf.function` of its own keeps the weights it was traced
    with: it raises an error. One that only assigns state, traced before the model was built, may go
    unnoticed.

    Rule and settings are saved with the model. Either may be set at any time, also by a callback,
    and holds from the next step on: `model.perturbation = "sam"`, `model.perturb_every = 2`.

    Args:
        perturbation: A rule, such as `keras_zsharp.ZSharp(rho=0.05)`, or its name.
        perturb_every, perturb_from, perturb_only, micro_batches, skip_nonfinite, perturbation_sync:
            How the step is taken, see `keras_zsharp.training.StepOptions`.
        **kwargs: Passed on to `keras.Model`.

    Raises:
        TypeError, ValueError: `perturbation` is no rule, or belongs to another model; what
            `StepOptions` raises. Before training on several devices: `gradient_accumulation_steps`,
            `steps_per_execution > 1` or, on CPUs, `jit_compile=True`, which fail there in plain
            Keras too.

    Example:

    >>> import keras
    >>> import keras_zsharp
    >>> class Net(keras_zsharp.SharpnessAwareTraining, keras.Model):
    ...     def __init__(self, perturbation="zsharp", **kwargs):
    ...         super().__init__(perturbation=perturbation, **kwargs)
    ...         self.dense = keras.layers.Dense(10)
    ...
    ...     def call(self, inputs):
    ...         return self.dense(inputs)
    >>> net = Net(perturbation="sam")
    >>> net.compile(optimizer="adamw", loss="mse")
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        own_steps.check_bases(cls, SharpnessAwareTraining)
        if "train_step" in vars(cls):
            cls.train_step = own_steps.must_come_to_ours(cls, cls.train_step)
        for name in ("fit", "train_on_batch"):
            if name in vars(cls):
                setattr(cls, name, own_steps.must_train_by_ours(name, getattr(cls, name)))
        own = cls.get_config is SharpnessAwareTraining.get_config
        if own and keras_internals.knows_the_arguments(super().get_config):
            keras_internals.leave_arguments_to_keras(cls)

    perturb_every = options.Option()
    perturb_from = options.Option()
    perturb_only = options.Option()
    micro_batches = options.Option()
    skip_nonfinite = options.Option()
    perturbation_sync = options.Option()
    step_is_always_perturbed = False

    def __init__(self, *args, perturbation="zsharp", **kwargs):
        if args or "inputs" in kwargs or "outputs" in kwargs:
            raise TypeError(
                f"`{type(self).__name__}` cannot be constructed functionally. Build "
                "`keras.Model(inputs, outputs)` and wrap it in `SharpnessAwareModel`."
            )
        step_options = options.taken_from(kwargs)
        super().__init__(**kwargs)
        self.become_sharpness_aware(perturbation, step_options)

    def become_sharpness_aware(self, rule, step_options):
        """Gives a model what the step needs, also one that is built."""
        self.train_function = None
        with keras_internals.unlocked(self):
            self.step_options = step_options
            self.perturbation = rule
            self.sharpness_tracker = keras.metrics.Mean(name="sharpness")

    def __setattr__(self, name, value):
        if name not in ("perturbation", "step_options"):
            super().__setattr__(name, value)
            return
        old = keras_internals.attributes_of(self).get(name)
        if name == "perturbation":
            value = self._in_place_of(old, perturbations.get(value))
        elif not isinstance(value, options.StepOptions):
            raise TypeError(f"`step_options` must be `StepOptions`. Received: {value!r}")
        super().__setattr__(name, value)
        if value != old and self.train_function is not None:
            # A graph has what it was traced with.
            self.make_train_function(force=True)

    def make_train_function(self, force=False):
        """A program in which every step perturbs is made anew where one may not, and back."""
        always = turns.always_perturbs(self)
        force = force or always != self.step_is_always_perturbed
        self.step_is_always_perturbed = always
        super().make_train_function(force)

    def rule_has_changed(self):
        """To be called by the rule, where one of its numbers has been set."""
        if self.train_function is not None:
            self.make_train_function()

    def _in_place_of(self, old, rule):
        """The rule, now this model's; the old one is free for another."""
        rule.belong_to(self)
        if old is not None and rule is not old:
            keras_internals.replace_layer(self, old, rule)
            old.leave()
        return rule

    def ascent_gradients(self, gradients, variables):
        """What the rule is given, in each step that perturbs: the gradients at w.

        Override it to perturb along others; the optimizer is still given what the second pass over
        the batch finds.

        Args:
            gradients: List of dense gradients of the batch's loss at w, or of a part's with
                `micro_batches`, not scaled. None where the loss does not depend on a variable.
            variables: List of the trainable variables, which read as w.

        Returns:
            List of tensors with the gradients' shapes and dtypes, None for None.
        """
        return gradients

    def gradients_for_the_rule(self, gradients, variables):
        """`ascent_gradients` of the weights that `perturb_only` chooses, None of the others."""
        given = self.ascent_gradients(gradients, variables)
        among = chosen.among(self, self.perturb_only, variables)
        return [g if is_chosen else None for g, is_chosen in zip(given, among, strict=True)]

    @property
    def layers(self):
        """Those of the model: the rule is none of them."""
        rule = keras_internals.attributes_of(self).get("perturbation")
        return [each for each in super().layers if each is not rule]

    @layers.setter
    def layers(self, value):
        keras.Model.layers.fset(self, value)

    @property
    def metrics(self):
        """Those of the model, and the sharpness, which a class with `metrics` of its own lacks."""
        found, tracker = super().metrics, self.__dict__.get("sharpness_tracker")
        known = tracker is None or any(metric is tracker for metric in found)
        return found if known else [*found, tracker]

    @functools.wraps(keras.Model.fit)
    def fit(self, *args, **kwargs):
        with own_steps.by_our_step(self, "fit"):
            return super().fit(*args, **kwargs)

    @functools.wraps(keras.Model.train_on_batch)
    def train_on_batch(self, *args, **kwargs):
        with own_steps.by_our_step(self, "train_on_batch"):
            return super().train_on_batch(*args, **kwargs)

    def train_step(self, *args):
        own_steps.came_to_ours(self)
        return super().train_step(*args)

    @property
    def skips_nonfinite(self):
        """Whether steps whose loss or gradients are not finite are skipped."""
        if self.skip_nonfinite is None:
            return isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        return self.skip_nonfinite

    def get_config(self):
        """Adds rule and settings to what there is; to be called by overriding methods."""
        return {**super().get_config(), **self.step_config()}

    def step_config(self):
        """The part of the config that says how the step is taken."""
        return {
            "perturbation": keras.saving.serialize_keras_object(self.perturbation),
            **self.step_options.to_config(),
        }

    def get_compile_config(self):
        """Without the backend, so that what is saved on one goes on on another."""
        return keras_internals.of_any_backend(super().get_compile_config())

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Makes the model, and sets what its constructor need not know of."""
        others = dict(config)
        settings = {n: others.pop(n) for n in ("perturbation", *options.NAMES) if n in others}
        if "perturbation" not in settings:
            raise ValueError(
                f"`config` must have the rule and settings of a `{cls.__name__}`. Call "
                "`super().get_config()` where the class overrides `get_config`. "
                f"Received: config={config}"
            )
        with keras.saving.CustomObjectScope(custom_objects or {}):
            settings["perturbation"] = perturbations.get(settings["perturbation"])
        if "perturbation" in inspect.signature(cls.__init__).parameters:
            others["perturbation"] = settings["perturbation"]
        model = super().from_config(others, custom_objects)
        with keras.saving.CustomObjectScope(custom_objects or {}):
            for name, value in settings.items():
                setattr(model, name, value)
        return model

    def save(self, filepath, *args, **kwargs):
        files.warn_of_hdf5(self, filepath)
        super().save(filepath, *args, **kwargs)

    def load_weights(self, filepath, *args, **kwargs):
        """`keras.Model.load_weights`, of a file of this model or of the plain one, whole or not.

        A rule takes its state from a file of its class. Else it keeps its own: with a warning, if
        there is another's.
        """
        with files.whole_or_not(self, filepath):
            super().load_weights(filepath, *args, **kwargs)
        own_steps.note_iterations(self)

    def save_seeds(self, store):
        """Adds to what is saved of the rule."""
        seeds.save(self, store)

    def load_seeds(self, store):
        """Takes what `save_seeds` added."""
        seeds.load(self, store)

    def build_from_config(self, config):
        super().build_from_config(config)
        # Keras builds the layers but leaves the flag, and would then drop the optimizer's state.
        self.built = self.built or all(layer.built for layer in self.layers)

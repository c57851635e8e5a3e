from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from typing import Any

import keras

from keras_zsharp import rules
from keras_zsharp.checks import arguments
from keras_zsharp.keras_internals import saving, tracking
from keras_zsharp.model import SharpnessAwareModel, check_model
from keras_zsharp.rules import Rule
from keras_zsharp.training import SharpnessAwareTraining, StepOptions, ascent, reached
from keras_zsharp.training.options import NAMES
from keras_zsharp.training.saving import of_this_version
from keras_zsharp.typing import Config

OF_TRAINING = (
    *("every_step_perturbs", "inputs_are_arrays", "_cuts_arrays", "skipping"),
    *("first_of_share", "_steps_of_fit"),
)
"""What training leaves on a model, untracked by Keras."""


def sharpness_aware(
    model: keras.Model, rule: Rule | str | None = None, **options: Any
) -> keras.Model:
    """Makes an existing model itself sharpness-aware, and returns it.

    The model's class becomes a subclass of it with `SharpnessAwareTraining` in front. All methods
    of the model (`call`, `compute_loss`, `test_step`, `fit`, preprocessing, ...) work as before, on
    the same weights. Only its training step takes two passes. So a KerasHub task takes raw strings
    or images.

    Saving, loading, cloning and copying keep the rule, the options and their state. A program must
    `import keras_zsharp` before it loads a file. `keras.models.clone_model` makes a plain
    `Sequential` of a `Sequential`: clone that by `type(model).from_config(model.get_config())`.

    `plain(model)` undoes this. `SharpnessAwareModel` wraps a model and leaves it as it is.

    Args:
        model: A `keras.Model`: functional, Sequential or subclassed, built, compiled, trained or
            not.
        rule: A rule, such as `keras_zsharp.SAM(rho=0.05)`, or its name: `"sam"` to begin with,
            `"zsharp"` for the method of the paper.
        **options: How the step is taken, see `keras_zsharp.training.StepOptions`.

    Returns:
        `model`.

    Raises:
        TypeError: `model` is no Keras model, or overrides a method that plain Keras would call and
            the two-pass step does not, such as `train_step`; `rule` is missing or no rule;
            there is no such option.
        ValueError: `model` is sharpness-aware already, or has an attribute of its own where rule or
            options would be; `rule` is no rule's name, or belongs to another model; an option is
            outside of its bounds.

    Example:

    >>> import keras
    >>> import keras_zsharp
    >>> import numpy as np
    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> model is keras_zsharp.sharpness_aware(model, "sam", perturb_every=2)
    True
    >>> model.compile(optimizer="adamw", loss="mse")
    >>> history = model.fit(np.ones((2, 1)), np.zeros((2, 1)), verbose=0)
    >>> sorted(history.history)
    ['loss', 'sharpness']
    """
    check_model(model)
    _check_names(model)
    arguments("sharpness_aware", NAMES, options)
    step_options, rule = StepOptions(**options), rules.get(rule)
    rule.check_free_for(model)
    ascent.check(rule, step_options.ascent_fraction)
    return _become(model, rule, step_options)


def plain(model: keras.Model) -> keras.Model:
    """Returns the model without rule and two-pass step.

    Args:
        model: What `sharpness_aware` returned, or a `SharpnessAwareModel`.

    Returns:
        The same model with the class that it had before, or the model inside the wrapper.

    Raises:
        TypeError: `model` is neither.

    Example:

    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> type(plain(sharpness_aware(model, "sam"))) is keras.Sequential
    True
    """
    if isinstance(model, SharpnessAwareModel):
        return model.model
    if not isinstance(model, InPlace):
        raise TypeError(
            "`model` must be what `sharpness_aware` returned, or a `SharpnessAwareModel`. "
            f"Received: model={model!r}"
        )
    model.rule.leave()
    for name in ("rule", "sharpness_tracker", "step_options"):
        tracking.remove_attribute(model, name)
    for name in OF_TRAINING:
        model.__dict__.pop(name, None)
    made = type(model)
    object.__setattr__(model, "__class__", made.own_class)
    saving.forget(made)
    model.train_function = model.test_function = model.predict_function = None
    return model


@keras.saving.register_keras_serializable("keras_zsharp", "InPlace")
class InPlace(SharpnessAwareTraining):
    """Base of the classes that `sharpness_aware` makes.

    Each belongs to one model. A clone of the model gets its rule and options, and its own class.
    """

    own_class: type
    origin: Callable[[], Any]

    def get_config(self) -> Config:
        made = type(self)
        object.__setattr__(self, "__class__", made.own_class)
        try:
            model = keras.saving.serialize_keras_object(self)
        finally:
            object.__setattr__(self, "__class__", made)
        model.pop("compile_config", None)
        return {"model": model, **self.step_config()}

    @classmethod
    def from_config(
        cls, config: Config, custom_objects: dict[str, Any] | None = None
    ) -> keras.Model:
        settings = of_this_version(config)
        model = keras.saving.deserialize_keras_object(settings.pop("model"), custom_objects)
        with keras.saving.CustomObjectScope(custom_objects or {}):
            return sharpness_aware(model, **settings)

    def __reduce__(self) -> tuple[Any, ...]:
        _, arguments = super().__reduce__()
        return saving.unpickle_model, arguments


def _check_names(model):
    """Refuses a model that has other things where its rule and options would be."""
    methods = {n for n in dir(InPlace) if n[0] != "_" and not hasattr(keras.Model, n)}
    ours = {"rule", "step_options", "sharpness_tracker", "skipping"} | methods
    classes = (c for c in type(model).__mro__ if c.__module__.partition(".")[0] != "keras")
    own = {*tracking.attributes_of(model)}.union(*map(vars, classes))
    if taken := sorted(ours & own):
        raise ValueError(
            f"`model` must not have {', '.join(f'`{name}`' for name in taken)} of its own: what "
            "the step needs is there. Rename what is yours, or wrap the model: "
            f"keras_zsharp.SharpnessAwareModel(model, rule). Received: model={model.name!r}"
        )


def _become(model: keras.Model, rule: Rule, step_options: StepOptions) -> keras.Model:
    """The model with a class made for it."""
    made = _made_for(type(model), model)
    reached.check(made, SharpnessAwareTraining)
    object.__setattr__(model, "__class__", made)
    model.become_sharpness_aware(rule, step_options)
    return model


def _made_for(own: type, model: keras.Model) -> type:
    """The new class of `model`, which has the class `own`."""
    origin = weakref.ref(model)

    def __init__(self, *args, **kwargs):
        own.__init__(self, *args, **kwargs)
        object.__setattr__(self, "__class__", own)
        if (cloned := origin()) is None:
            raise RuntimeError(
                f"The model whose rule a clone of this {own.__name__} would have is gone. Make a "
                f"{own.__name__}, and call keras_zsharp.sharpness_aware(model, rule)"
            )
        rule = type(cloned.rule).from_config(cloned.rule.get_config())
        _become(self, rule, cloned.step_options)

    # By the signature, `keras.models.clone_model` knows that it can construct the class.
    __init__.__signature__ = inspect.signature(own.__init__)
    name = f"SharpnessAware{own.__name__}"
    attributes = {"__init__": __init__, "own_class": own, "__module__": own.__module__}
    made = type(name, (InPlace, own), {**attributes, "origin": origin})
    saving.save_as(made, InPlace)
    weakref.finalize(model, saving.forget, made)
    return made

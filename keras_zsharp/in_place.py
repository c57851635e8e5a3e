import inspect
import weakref

import keras

from keras_zsharp import keras_internals, perturbations
from keras_zsharp.model import SharpnessAwareModel, check_model
from keras_zsharp.training import SharpnessAwareTraining, StepOptions


def sharpness_aware(model, perturbation="zsharp", **options):
    """Makes an existing model itself sharpness-aware, and returns it.

    Its class becomes a subclass of its own class with `SharpnessAwareTraining` in front. Whatever
    it does by methods of its own (`call`, `compute_loss`, `test_step`, `fit`, preprocessing, ...)
    it does as before, on its own weights; only its training step takes two passes. So a KerasHub
    task takes raw strings or images. Saving, loading, cloning and copying keep the rule, the
    settings and their state; a file asks for `import keras_zsharp` before it is loaded. (But
    `keras.models.clone_model` makes a plain `Sequential` of every subclass of it: clone that by
    `type(model).from_config(model.get_config())`.)

    `plain(model)` makes it what it was. `SharpnessAwareModel` wraps a model and leaves it as it is.

    Args:
        model: A `keras.Model`: functional, Sequential or subclassed, built, compiled, trained or
            not.
        perturbation: A rule, such as `keras_zsharp.ZSharp(rho=0.05)`, or its name.
        **options: How the step is taken, see `keras_zsharp.training.StepOptions`.

    Returns:
        `model`.

    Raises:
        TypeError: `model` is no Keras model, or has a `train_step` of its own, which would not be
            called; `perturbation` is no rule; there is no such option.
        ValueError: `model` is sharpness-aware already; `perturbation` belongs to another model; an
            option is outside of its bounds.

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
    step_options, rule = StepOptions(**options), perturbations.get(perturbation)
    rule.check_free_for(model)
    object.__setattr__(model, "__class__", _made_for(type(model), model))
    model.become_sharpness_aware(rule, step_options)
    return model


def plain(model):
    """The model without rule and two-pass step: in place as before, or the one in a wrapper.

    Args:
        model: What `sharpness_aware` returned, or a `SharpnessAwareModel`.

    Returns:
        The same model, of the class that it had, or the model inside the wrapper.

    Raises:
        TypeError: `model` is neither.

    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> type(plain(sharpness_aware(model))) is keras.Sequential
    True
    """
    if isinstance(model, SharpnessAwareModel):
        return model.model
    if not isinstance(model, InPlace):
        raise TypeError(
            "`model` must be what `sharpness_aware` returned, or a `SharpnessAwareModel`. "
            f"Received: model={model!r}"
        )
    model.perturbation.leave()
    for name in ("perturbation", "sharpness_tracker", "step_options"):
        keras_internals.remove_attribute(model, name)
    vars(model).pop("step_is_always_perturbed", None)
    object.__setattr__(model, "__class__", type(model).own_class)
    model.train_function = None
    return model


@keras.saving.register_keras_serializable("keras_zsharp", "InPlace")
class InPlace(SharpnessAwareTraining):
    """What the classes that `sharpness_aware` makes have in common.

    Each stands for one model, whose rule and settings its clones get.
    """

    own_class = None
    origin = None

    def get_config(self):
        made = type(self)
        object.__setattr__(self, "__class__", made.own_class)
        try:
            model = keras.saving.serialize_keras_object(self)
        finally:
            object.__setattr__(self, "__class__", made)
        model.pop("compile_config", None)
        return {"model": model, **self.step_config()}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        model = keras.saving.deserialize_keras_object(config["model"], custom_objects)
        settings = {name: value for name, value in config.items() if name != "model"}
        with keras.saving.CustomObjectScope(custom_objects or {}):
            return sharpness_aware(model, **settings)

    def __reduce__(self):
        _, arguments = super().__reduce__()
        return keras_internals.unpickle_model, arguments


def _made_for(own, model):
    """The class that `model`, of the class `own`, is to have."""
    origin = weakref.ref(model)

    def __init__(self, *args, **kwargs):
        own.__init__(self, *args, **kwargs)
        rule, options = perturbations.get("zsharp"), StepOptions()
        if origin() is not None:
            rule = type(origin().perturbation).from_config(origin().perturbation.get_config())
            options = origin().step_options
        self.become_sharpness_aware(rule, options)

    # `keras.models.clone_model` makes a model of its class if that is made as a functional one is.
    __init__.__signature__ = inspect.signature(own.__init__)
    name = f"SharpnessAware{own.__name__}"
    attributes = {"__init__": __init__, "own_class": own, "__module__": own.__module__}
    made = type(name, (InPlace, own), attributes)
    made.origin = origin
    return keras.saving.register_keras_serializable("keras_zsharp", "InPlace")(made)

import keras

from keras_zsharp import keras_internals
from keras_zsharp.training import SharpnessAwareTraining


@keras.saving.register_keras_serializable("keras_zsharp")
class SharpnessAwareModel(SharpnessAwareTraining, keras_internals.FilesOfItsModel, keras.Model):
    """Trains any Keras model sharpness-aware; everything else stays as Keras users know it.

    `compile`, `fit`, `evaluate`, `predict`, callbacks and saving work as with the model itself,
    and so does its optimizer: only the training step differs, see `SharpnessAwareTraining`. A step
    costs two forward and backward passes.

    Args:
        model: A `keras.Model`: functional, Sequential or subclassed, built or not. It shares its
            weights with the wrapper, is there as `.model`, and can be saved and served on its own.
        perturbation: A rule, such as `keras_zsharp.ZSharp(rho=0.05)`, or its name: `"zsharp"`,
            `"sam"`, `"asam"`, `"friendly_sam"`, `"adaptive_friendly_sam"`, `"fisher_sam"`,
            `"gsam"`, `"le_sam"`, `"look_sam"`, `"msam"`, `"ssam"`, `"wsam"`. It is there as
            `.perturbation`.
        perturb_every, perturb_from, perturb_only, micro_batches, skip_nonfinite, perturbation_sync:
            How the step is taken, see `keras_zsharp.training.StepOptions`.
        name: Name of the wrapper.
        **kwargs: Passed on to `keras.Model`.

    Raises:
        TypeError: `model` is no Keras model, or `perturbation` no rule.
        ValueError: `model` is sharpness-aware already, or overrides what a wrapper would not call,
            such as `fit`, `test_step` or `compute_loss`: see `keras_zsharp.sharpness_aware`.
            `perturbation` is no rule's name, or belongs to another model.
        TypeError, ValueError: What `StepOptions` raises.

    Example:

    >>> import keras
    >>> import keras_zsharp
    >>> import numpy as np
    >>> net = keras.Sequential([keras.layers.Dense(1)])
    >>> model = keras_zsharp.SharpnessAwareModel(net, keras_zsharp.ZSharp(rho=0.05))
    >>> model.compile(optimizer="adamw", loss="mse")
    >>> history = model.fit(np.ones((2, 1)), np.zeros((2, 1)), verbose=0)
    >>> sorted(history.history)
    ['loss', 'sharpness']
    """

    def __init__(self, model, perturbation="zsharp", *, name=None, **kwargs):
        check_model(model)
        _check_methods(model)
        # `compile` looks at the policy for whether float16 needs its loss scaled.
        kwargs.setdefault("dtype", model.dtype_policy)
        super().__init__(perturbation=perturbation, name=name, **kwargs)
        keras_internals.call_as(self, model)
        self.model = model
        self.built = model.built

    def call(self, inputs, *others, training=None, **kwargs):
        return keras_internals.call_inside(
            self, self.model, inputs, *others, training=training, **kwargs
        )

    def stateless_call(self, *args, **kwargs):
        with keras_internals.called_by_call(self):
            return super().stateless_call(*args, **kwargs)

    def __getattr__(self, name):
        """What only the model inside has: a functional one's `inputs`, and what is its own."""
        own = keras_internals.attributes_of(self)
        if name in own:  # PyTorch keeps layers where Python does not look.
            return own[name]
        inside = not name.startswith("_") and name not in keras_internals.set_in_training()
        if "model" in own and inside:
            return getattr(own["model"], name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name, value):
        """Sets what only the model inside has there, as a callback does that anneals a factor."""
        own = (
            name.startswith("_")
            or name in keras_internals.attributes_of(self)
            or hasattr(type(self), name)
        )
        if own or name in keras_internals.set_in_training() or not hasattr(self, name):
            super().__setattr__(name, value)
        else:
            setattr(self.model, name, value)

    @property
    def metrics(self):
        """Those of the model inside too, which it updates in its `call`."""
        found = super().metrics
        known = {id(metric) for metric in found}
        return [*found, *(m for m in keras_internals.own_metrics(self.model) if id(m) not in known)]

    def get_layer(self, name=None, index=None):
        """`keras.Model.get_layer` of the model inside."""
        return self.model.get_layer(name, index)

    def export(self, *args, **kwargs):
        """`keras.Model.export` of the model inside: who serves it needs no rule."""
        return self.model.export(*args, **kwargs)

    def get_config(self):
        model = keras.saving.serialize_keras_object(self.model)
        return {**super().get_config(), "model": model}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        model = keras.saving.deserialize_keras_object(config["model"], custom_objects)
        return super().from_config({**config, "model": model}, custom_objects)


def check_model(model):
    """Whether `model` can be made sharpness-aware."""
    if not isinstance(model, keras.Model):
        packages = {base.__module__.partition(".")[0] for base in type(model).__mro__}
        why = ", a model of Keras 2: build it with `import keras`" if "tf_keras" in packages else ""
        raise TypeError(f"`model` must be a keras.Model. Received: model={model!r}{why}")
    if isinstance(model, SharpnessAwareTraining):
        raise ValueError(
            "`model` must not be sharpness-aware already: one step, one perturbation. "
            f"Received: model={model.name!r} with {type(model.perturbation).__name__}"
        )


def _check_methods(model):
    """What a model overrides of Keras' training, evaluation and prediction would not be called."""
    names = sorted(keras_internals.training_methods())
    own = [n for n in names if getattr(type(model), n, None) is not getattr(keras.Model, n)]
    if "train_step" in own:
        raise ValueError(
            "`model` must not override `train_step`, which would not be called. Override "
            "`compute_loss` instead, with the loss that the step computes, and make the model "
            "sharpness-aware in place: keras_zsharp.sharpness_aware(model)"
        )
    if own:
        raise ValueError(
            f"`model` must not override {', '.join(f'`{n}`' for n in own)}, which a wrapper would "
            "not call. Make the model sharpness-aware in place: keras_zsharp.sharpness_aware(model)"
        )

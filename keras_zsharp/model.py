from __future__ import annotations

from typing import Any

import keras

from keras_zsharp.inside import ShowsItsModel
from keras_zsharp.keras_internals import calling, saving, tracking
from keras_zsharp.rules import Rule
from keras_zsharp.training import SharpnessAwareTraining, reached
from keras_zsharp.typing import Config


@keras.saving.register_keras_serializable("keras_zsharp")
class SharpnessAwareModel(
    SharpnessAwareTraining, ShowsItsModel, saving.FilesOfItsModel, keras.Model
):
    """Trains any Keras model sharpness-aware.

    `compile`, `fit`, `evaluate`, `predict`, callbacks, saving and the optimizer work as with the
    model itself. Only the training step differs, see `SharpnessAwareTraining`: it takes two forward
    and backward passes.

    Its `layers`, `weights`, `summary` and shapes are those of the model, too, and so is every
    attribute that it does not have itself.

    Args:
        model: A `keras.Model`: functional, Sequential or subclassed, built or not. The wrapper
            shares its weights and has it as `.model`. It can be saved and served on its own.
        rule: A rule, such as `keras_zsharp.SAM(rho=0.05)`, or its name: `"sam"` to begin with,
            `"zsharp"` for the method of the paper. `keras_zsharp.rules.RULES` has all names. The
            wrapper has it as `.rule`.
        name: Name of the wrapper.
        **kwargs: `perturb_every`, `perturb_from`, `perturb_only`, `ascent_fraction`,
            `micro_batches`, `batched_inputs`, `mean_of_parts`, `skip_nonfinite` and
            `perturbation_sync` say how the step is taken, see `keras_zsharp.training.StepOptions`.
            The others are passed on to `keras.Model`.

    Raises:
        TypeError: `model` is no Keras model, or `rule` is missing or no rule.
        ValueError: `model` is sharpness-aware already, or overrides a method that a wrapper would
            not call, such as `fit`, `test_step` or `compute_loss`: see
            `keras_zsharp.sharpness_aware`. `rule` is no rule's name, or belongs to another
            model.
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

    def __init__(
        self,
        model: keras.Model,
        rule: Rule | str | None = None,
        *,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_model(model)
        _check_methods(model)
        # By the policy, `compile` decides whether float16 needs a loss scale.
        kwargs.setdefault("dtype", model.dtype_policy)
        super().__init__(rule=rule, name=name, **kwargs)
        calling.call_as(self, model, same_arguments=self._calls_as_it_is())
        self.model = model
        self.built = model.built

    def get_config(self) -> Config:
        model = keras.saving.serialize_keras_object(self.model)
        return {**super().get_config(), "model": model}

    @classmethod
    def from_config(
        cls, config: Config, custom_objects: dict[str, Any] | None = None
    ) -> SharpnessAwareModel:
        model = keras.saving.deserialize_keras_object(config["model"], custom_objects)
        return super().from_config({**config, "model": model}, custom_objects)


def check_model(model: Any) -> None:
    """Checks that `model` can be made sharpness-aware."""
    if not isinstance(model, keras.Model):
        packages = {base.__module__.partition(".")[0] for base in type(model).__mro__}
        why = ", a model of Keras 2: build it with `import keras`" if "tf_keras" in packages else ""
        raise TypeError(f"`model` must be a keras.Model. Received: model={model!r}{why}")
    if isinstance(model, SharpnessAwareTraining):
        raise ValueError(
            "`model` must not be sharpness-aware already: one step, one perturbation. "
            f"Received: model={model.name!r} with {type(model.rule).__name__}"
        )


def _check_methods(model):
    """Refuses a model that overrides methods of training, evaluation and prediction.

    A wrapper would not call them.
    """
    classes, names = type(model).__mro__, tracking.training_methods()
    own = reached.overridden(classes, names)
    own |= vars(model).keys() & names - tracking.set_in_training()
    own = sorted(own) or reached.missed(reached.inside, SharpnessAwareModel, classes)
    if "train_step" in own:
        raise ValueError(
            "`model` must not override `train_step`, which would not be called. Override "
            "`compute_loss` instead, with the loss that the step computes, and make the model "
            "sharpness-aware in place: keras_zsharp.sharpness_aware(model, rule)"
        )
    if own:
        raise ValueError(
            f"`model` must not override {', '.join(f'`{n}`' for n in own)}, which a wrapper would "
            "not call. Make the model sharpness-aware in place: "
            "keras_zsharp.sharpness_aware(model, rule)"
        )

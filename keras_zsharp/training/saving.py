from __future__ import annotations

import contextvars
import inspect
from typing import Any, TypeVar

import keras

from keras_zsharp import rules
from keras_zsharp.keras_internals import saving, tracking
from keras_zsharp.rules import Rule
from keras_zsharp.training import files, options, own_steps, seeds
from keras_zsharp.typing import Config, Path

Model = TypeVar("Model", bound="SavedWithItsRule")


_OF_THE_CONFIG: contextvars.ContextVar[Rule | None] = contextvars.ContextVar("rule", default=None)


def rule_of_the_config() -> Rule | None:
    """The rule of the config that a model is made from, if its constructor names none."""
    return _OF_THE_CONFIG.get()


def of_this_version(config: Config) -> Config:
    """A copy of a model's config. Those of version 0.2.0 have the rule as `perturbation`."""
    config = dict(config)
    if "rule" not in config and "perturbation" in config:
        config["rule"] = config.pop("perturbation")
    return config


class SavedWithItsRule(tracking.MixinOfAModel):
    """Saves and loads a sharpness-aware model: its config, its weights and its random seeds.

    Expects the attributes `rule` and `step_options`.
    """

    def get_config(self) -> Config:
        """Adds rule and options to the config of the class. Overriding methods must call this.

        Returns:
            A dict.
        """
        return {**super().get_config(), **self.step_config()}

    def step_config(self) -> Config:
        """The config of rule and options.

        Returns:
            A dict.
        """
        return {
            "rule": keras.saving.serialize_keras_object(self.rule),
            **self.step_options.to_config(),
        }

    def get_compile_config(self) -> Config:
        """`keras.Model.get_compile_config`, with optimizers that every backend can load.

        Returns:
            A dict.
        """
        return saving.of_any_backend(super().get_compile_config())

    @classmethod
    def from_config(
        cls: type[Model], config: Config, custom_objects: dict[str, Any] | None = None
    ) -> Model:
        """Makes a model from its config, also if its constructor takes no options.

        Args:
            config: What `get_config` returned.
            custom_objects: Classes and functions by their names, as in `keras.Model.from_config`.

        Returns:
            The model.

        Raises:
            ValueError: `config` has no rule.
        """
        others = of_this_version(config)
        settings = {n: others.pop(n) for n in ("rule", *options.NAMES) if n in others}
        if "rule" not in settings:
            raise ValueError(
                f"`config` must have the rule and settings of a `{cls.__name__}`. Call "
                "`super().get_config()` where the class overrides `get_config`. "
                f"Received: config={config}"
            )
        with keras.saving.CustomObjectScope(custom_objects or {}):
            settings["rule"] = rules.get(settings["rule"])
        if "rule" in inspect.signature(cls.__init__).parameters:
            others["rule"] = settings["rule"]
        token = _OF_THE_CONFIG.set(settings["rule"])
        try:
            model = super().from_config(others, custom_objects)
        finally:
            _OF_THE_CONFIG.reset(token)
        with keras.saving.CustomObjectScope(custom_objects or {}):
            for name, value in settings.items():
                setattr(model, name, value)
        return model

    def save(self, filepath: Path, *args: Any, **kwargs: Any) -> None:
        """`keras.Model.save`. It warns of HDF5, which has no place for the rule's state.

        Args:
            filepath: Path of the file.
            *args: Passed on to `keras.Model.save`.
            **kwargs: Passed on to `keras.Model.save`.
        """
        files.warn_of_hdf5(self, filepath)
        super().save(filepath, *args, **kwargs)

    def load_weights(self, filepath: Path, *args: Any, **kwargs: Any) -> None:
        """`keras.Model.load_weights`, from a file of this model or of the plain one.

        If the file has the state of a rule of the same class, the rule takes it. Otherwise the rule
        keeps its own state, and warns if the file has the state of another rule.

        Args:
            filepath: Path of the file.
            *args: Passed on to `keras.Model.load_weights`.
            **kwargs: Passed on to `keras.Model.load_weights`.

        Raises:
            ValueError: The file is not of this network. Nothing has been loaded then.
        """
        with files.whole_or_not(self, filepath):
            super().load_weights(filepath, *args, **kwargs)
        own_steps.note_iterations(self)

    def save_seeds(self, store: Any) -> None:
        """Saves the model's random seeds beside the rule's state.

        Args:
            store: Keras' store of the rule.
        """
        seeds.save(self, store)

    def load_seeds(self, store: Any) -> None:
        """Loads the seeds that `save_seeds` has saved.

        Args:
            store: Keras' store of the rule.
        """
        seeds.load(self, store)

    def build_from_config(self, config: Config) -> None:
        """`keras.Model.build_from_config`, after which the model is built if its layers are.

        Args:
            config: What `get_build_config` returned.
        """
        super().build_from_config(config)
        # Keras builds the layers but leaves the flag, and would then drop the optimizer's state.
        self.built = self.built or all(layer.built for layer in self.layers)

"""How Keras saves models, copies them and loads them."""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import Any

import keras
from keras.src.legacy.saving import legacy_h5_format
from keras.src.saving import object_registration, saving_lib
from keras.src.utils import python_utils

from keras_zsharp.keras_internals.tracking import MixinOfAModel, attributes_of
from keras_zsharp.typing import Path


class FilesOfItsModel(MixinOfAModel):
    """Mixin of a `keras.Model` with a `model` inside, whose files are those of the model inside.

    The variables have the paths that they have without the wrapper. Saved models have the signature
    of the model inside. In a file of weights everything is where plain Keras puts it. Rule and
    optimizer are where they would be if the model inside had them.
    """

    model: keras.Model

    def _open_name_scope(self):
        return contextlib.nullcontext()

    @property
    def _default_save_signature(self):
        return self.model._default_save_signature

    def _get_save_spec(self, dynamic_batch=True):
        # TFLite's converter calls this if it has not found the inputs.
        raise ValueError(
            f"`{type(self).__name__}` cannot be converted. Convert the model inside, once it is "
            "built: TFLiteConverter.from_keras_model(keras_zsharp.plain(model))"
        )

    def save_weights(self, filepath: Path, *args: Any, **kwargs: Any) -> None:
        """`keras.Model.save_weights` of the model inside, with rule and optimizer.

        Args:
            filepath: Path of the file.
            *args: Passed on to `keras.Model.save_weights`.
            **kwargs: Passed on to `keras.Model.save_weights`.
        """
        with self._with_rule_and_optimizer() as model:
            model.save_weights(filepath, *args, **kwargs)

    def load_weights(self, filepath: Path, *args: Any, **kwargs: Any) -> None:
        """`keras.Model.load_weights` of the model inside, with rule and optimizer.

        Args:
            filepath: Path of the file.
            *args: Passed on to `keras.Model.load_weights`.
            **kwargs: Passed on to `keras.Model.load_weights`.
        """
        if not str(filepath).endswith((".weights.h5", ".weights.json")):
            # A file of the wrapper as a whole.
            super().load_weights(filepath, *args, **kwargs)
            return
        with self._with_rule_and_optimizer() as model:
            model.load_weights(filepath, *args, **kwargs)

    @contextlib.contextmanager
    def _with_rule_and_optimizer(self):
        # Keras saves and loads what is among an object's attributes.
        own = attributes_of(self)
        own = {n: own[n] for n in ("rule", "optimizer") if n in own}
        attributes = vars(self.model)
        before = {name: attributes[name] for name in own if name in attributes}
        attributes.update(own)
        try:
            yield self.model
        finally:
            for name in own:
                del attributes[name]
            attributes.update(before)


def read_for_a_file() -> bool:
    """Whether Keras reads an attribute of a model because it saves or loads what is in it."""
    frame: Any = inspect.currentframe()
    while frame.f_globals["__name__"].startswith("keras_zsharp."):
        frame = frame.f_back
    return frame.f_globals["__name__"] in (saving_lib.__name__, legacy_h5_format.__name__)


def knows_the_arguments(get_config: Any) -> bool:
    """Whether it is Keras' own `get_config`, which returns the constructor's arguments."""
    return python_utils.is_default(get_config)


def leave_arguments_to_keras(cls: Any) -> None:
    """Makes Keras add the constructor's arguments to the `get_config` that `cls` inherits."""
    inherited = cls.get_config

    @functools.wraps(inherited)
    def get_config(self):
        return inherited(self)

    cls.get_config = python_utils.default(get_config)


unpickle_model = keras.Model._unpickle_model
"""The function by which Keras copies and unpickles models."""


def in_an_older_file(store: Any, name: str) -> Any:
    """Keras' store of an object of the model, opened anew if the file has it under an older name.

    Args:
        store: What Keras hands to `load_own_variables`.
        name: The name of the model's attribute in older versions.

    Returns:
        The store.
    """
    if list(store.keys()) or name not in getattr(store, "h5_file", ()):
        return store
    if hasattr(store, "get"):
        return store.get(name)
    return type(store)(store.h5_file, name, mode="r")  # Keras 3.8 has an object for each entry.


def save_as(cls: type, registered: type) -> None:
    """Makes Keras save the objects of a class under the name of a registered class."""
    names = object_registration.GLOBAL_CUSTOM_NAMES
    names[cls] = names[registered]


def forget(cls: type) -> None:
    """Undoes `save_as`."""
    object_registration.GLOBAL_CUSTOM_NAMES.pop(cls, None)


def of_any_backend(config: Any) -> Any:
    """A config whose optimizers are those of `keras.optimizers`.

    On PyTorch, Keras names classes that no other backend can import.
    """
    if isinstance(config, dict):
        config = {name: of_any_backend(value) for name, value in config.items()}
        if str(config.get("module")).startswith("keras.src.backend.torch.optimizers."):
            config |= {"module": "keras.optimizers", "registered_name": None}
    elif isinstance(config, list):
        config = [of_any_backend(value) for value in config]
    return config

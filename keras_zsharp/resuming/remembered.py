"""What a run remembers beside weights and optimizer: its callbacks, options and generators."""

from __future__ import annotations

import random
import warnings
from typing import Any

import keras
import numpy as np

from keras_zsharp import rules
from keras_zsharp.backend import surroundings
from keras_zsharp.keras_internals import tracking
from keras_zsharp.resuming import plain_values, program
from keras_zsharp.resuming.plain_values import NotPlain, decoded, encoded
from keras_zsharp.resuming.program_code import is_of_library
from keras_zsharp.training import seeds

OF_THE_FIT = {"_model", "model", "params", "validation_data"}
NOT_RESUMED = (keras.callbacks.History, keras.callbacks.ProgbarLogger)
"""They show the epochs of one `fit`."""


class Remembered:
    """What changes in a run's callbacks and options from its first epoch on.

    What a program sets before that is its own, and is not restored.

    Args:
        model: The model.
        callbacks: The callbacks of the `fit`, without the backup.
    """

    def __init__(self, model: Any, callbacks: list[Any]) -> None:
        self._model, self._callbacks = model, {}
        for callback in callbacks:
            if not isinstance(callback, NOT_RESUMED):
                name = type(callback).__name__
                number = sum(type(c).__name__ == name for c in self._callbacks.values())
                self._callbacks[f"{name} {number}"] = callback
        self._own = self._ids()
        self._before = {name: self._tokens(c) for name, c in self._callbacks.items()}
        self._options, self._rule = _options(model), _rule(model)
        self._warned = False

    @property
    def is_first_process(self) -> bool:
        """Whether this process is the one of several that writes, or is alone."""
        return surroundings.is_first_process(self._model)

    def to_save(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        """What has changed, as JSON and arrays."""
        arrays: list[np.ndarray] = []
        lost = []
        saved: dict[str, Any] = {"callbacks": {}}
        for name, callback in self._callbacks.items():
            codes, attributes = {}, _attributes(callback)
            for key, token in self._tokens(callback).items():
                if key in self._before[name] and _is_same(token, self._before[name][key]):
                    continue
                try:
                    codes[key] = encoded(attributes[key], arrays, self._own)
                except NotPlain:
                    lost += [f"{name.partition(' ')[0]}.{key}"] * (not _makes_anew(callback))
            saved["callbacks"][name] = codes
        options, rule = _options(self._model), _rule(self._model)
        saved["options"] = {k: v for k, v in options.items() if v != self._options[k]}
        lost += [k for k, v in saved["options"].items() if callable(v)]
        saved["options"] = {k: v for k, v in saved["options"].items() if not callable(v)}
        saved["rule"] = None
        if rule != self._rule:
            saved["rule"] = keras.saving.serialize_keras_object(self._model.rule)
        seeds_now = [np.asarray(keras.ops.convert_to_numpy(v)) for v in seeds.of(self._model)]
        saved["seeds"] = encoded(seeds_now, arrays)
        numpy_state: Any = np.random.get_state(legacy=False)
        saved["generators"] = encoded(
            [random.getstate(), numpy_state, surroundings.generators()], arrays
        )
        if lost and not self._warned:
            warnings.warn(
                f"A backup cannot have {', '.join(lost)}: a resumed run begins with new ones. Keep "
                "numbers, strings, arrays, and lists and dicts of them.",
                stacklevel=2,
            )
            self._warned = True
        return saved, arrays

    def _ids(self):
        """Of the objects that are saved with the model."""
        layers = tracking.flat_layers(self._model)
        return frozenset(map(id, [self._model, *layers, self._model.optimizer]))

    def _tokens(self, callback):
        """By name, what tells whether an attribute has changed."""
        return {k: plain_values.token(v, self._own) for k, v in _attributes(callback).items()}

    def replace_rule(self, saved: dict[str, Any]) -> None:
        """Gives the model the rule and the options that a callback had set.

        Args:
            saved: What `to_save` returned.
        """
        if saved["rule"]:
            self._model.rule = rules.get(keras.saving.deserialize_keras_object(saved["rule"]))
        for name, value in saved["options"].items():
            setattr(self._model, name, value)

    def restore(
        self, saved: dict[str, Any], arrays: list[np.ndarray], process_wide: bool = True
    ) -> None:
        """Restores what `to_save` returned.

        Args:
            saved: The JSON.
            arrays: The arrays.
            process_wide: Whether to restore the generators of Python and NumPy, too.
        """
        left = []
        for name, codes in saved["callbacks"].items():
            attributes = vars(self._callbacks.get(name, keras.callbacks.Callback()))
            for key, code in codes.items():
                try:
                    if name not in self._callbacks:
                        raise NotPlain(name)
                    attributes[key] = decoded(code, arrays, attributes.get(key))
                except NotPlain:
                    left.append(f"{name.partition(' ')[0]}.{key}")
        if left:
            warnings.warn(
                f"The backup has {', '.join(left)}, which the program does not have: they are "
                "left.",
                stacklevel=2,
            )
        values = decoded(saved["seeds"], arrays)
        own = seeds.of(self._model)
        if len(values) == len(own):
            for seed, value in zip(own, values, strict=True):
                seed.assign(value)
        python, numpy, others = decoded(saved["generators"], arrays)
        surroundings.set_generators(others)
        if process_wide:
            random.setstate(python)
            np.random.set_state(numpy)


def _attributes(callback):
    return {k: v for k, v in vars(callback).items() if k not in OF_THE_FIT}


def _is_same(token, before):
    return token is before or (isinstance(token, bytes) and token == before)


def _makes_anew(callback):
    """Whether a callback makes in each `fit` what cannot be saved, such as an open file."""
    return is_of_library(type(callback))


def _options(model):
    options = getattr(model, "step_options", None)
    return {} if options is None else dict(vars(options))


def _rule(model):
    """Class and config of the rule. Its numbers are in the weights' file."""
    rule = tracking.rule_of(model)
    if rule is None:
        return None
    numbers = program.hyperparameters(rule)
    config = {
        name: "a number" if name in numbers and isinstance(value, float) else value
        for name, value in rule.get_config().items()
        if name != "name"
    }
    return type(rule).__name__, config

"""The weights that the rule perturbs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import keras

from keras_zsharp.keras_internals import tracking
from keras_zsharp.rules.variables import rank
from keras_zsharp.typing import Config, PerturbOnly


def _of_normalization(model, variables):
    own = [v for layer in tracking.flat_layers(model) for v in _gains_and_offsets(layer)]
    return _among(own, variables)


def _gains_and_offsets(layer):
    """Those of a normalization layer of Keras, or of one that is named so and has no others.

    Wrappers normalize the weights of other layers, and a model is no such layer.
    """
    own = tracking.own_variables(layer)
    if isinstance(layer, tracking.NORMALIZATIONS):
        return [getattr(layer, name, None) for name in ("gamma", "beta", "scale")]
    is_called_so = any(_NORM.search(base.__name__) for base in type(layer).__mro__)
    is_one = is_called_so and all(len(v.shape) < 2 for v in own)
    return own if is_one and not isinstance(layer, keras.layers.Wrapper | keras.Model) else []


_NORM = re.compile("Norm(ali[sz]ation)?(?![a-z])")
"""A word of its own: a `LlamaLayerNorm` has it, a `NormalizedDense` has not."""


def _kernels(model, variables):
    return [rank(v) >= 2 for v in variables]


def _of_lora(model, variables):
    """Where LoRA is enabled, Keras' layers have its factors in attributes `lora_...`."""
    own = [
        value
        for layer in tracking.flat_layers(model)
        if getattr(layer, "lora_enabled", False)
        for name, value in tracking.attributes_of(layer).items()
        if name.startswith("lora_")
    ]
    return _among(own, variables)


def _among(chosen, variables):
    ids = set(map(id, chosen))
    return [id(v) in ids for v in variables]


NAMED = {"normalization": _of_normalization, "kernels": _kernels, "lora": _of_lora}


def get(perturb_only: Any) -> PerturbOnly:
    """`perturb_only` or what `to_config` made of it, after checking that it can choose weights."""
    if isinstance(perturb_only, dict):
        perturb_only = keras.saving.deserialize_keras_object(perturb_only)
    if isinstance(perturb_only, str):
        try:
            re.compile(perturb_only)
        except re.error as error:
            raise ValueError(
                f"`perturb_only` must be {', '.join(map(repr, NAMED))} or a regular expression: "
                f"{error}. Received: perturb_only={perturb_only!r}"
            ) from None
    elif perturb_only is not None and not _is_function(perturb_only):
        raise TypeError(
            f"`perturb_only` must be None, {', '.join(map(repr, NAMED))}, a regular expression or "
            f"a function of a variable. Received: perturb_only={perturb_only!r} of type "
            f"{type(perturb_only)}"
        )
    return perturb_only


def _is_function(value):
    return callable(value) and not isinstance(value, type | keras.Layer)


def to_config(perturb_only: PerturbOnly) -> str | Config | None:
    """`perturb_only` in a form that Keras can save."""
    if perturb_only is None or isinstance(perturb_only, str):
        return perturb_only
    return keras.saving.serialize_keras_object(perturb_only)


def among(model: keras.Model, perturb_only: PerturbOnly, variables: Sequence[Any]) -> list[bool]:
    """Whether each of the variables is chosen.

    Args:
        model: The model that has the variables.
        perturb_only: What `get` returned.
        variables: The trainable variables.

    Raises:
        ValueError: There are variables, and none is chosen.
    """
    if perturb_only is None:
        return [True] * len(variables)
    if isinstance(perturb_only, str) and perturb_only in NAMED:
        chosen = NAMED[perturb_only](model, variables)
    elif isinstance(perturb_only, str):
        chosen = [re.search(perturb_only, v.path) is not None for v in variables]
    else:
        chosen = [bool(perturb_only(v)) for v in variables]
    if variables and not any(chosen):
        raise ValueError(
            "`perturb_only` must choose one trainable variable or more. It chooses none. "
            f"Received: perturb_only={perturb_only!r} and the variables "
            f"{[v.path for v in variables]}"
        )
    return chosen

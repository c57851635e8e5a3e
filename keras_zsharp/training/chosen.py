"""Which weights the rule perturbs."""

import re

import keras

from keras_zsharp import keras_internals
from keras_zsharp.perturbations.variables import is_bias


def _of_normalization(model, variables):
    found = {
        id(variable)
        for layer in filter(_normalizes, keras_internals.flat_layers(model))
        for variable in keras_internals.own_variables(layer)
    }
    return [id(v) in found for v in variables]


def _normalizes(layer):
    """Whether it is called so, and is none that normalizes another layer's weights."""
    called_so = any("Norm" in base.__name__ for base in type(layer).__mro__)
    return called_so and not isinstance(layer, keras.layers.Wrapper)


def _kernels(model, variables):
    return [len(v.shape) >= 2 and not is_bias(v) for v in variables]


def _of_lora(model, variables):
    return ["lora_" in v.name for v in variables]


NAMED = {"normalization": _of_normalization, "kernels": _kernels, "lora": _of_lora}


def get(perturb_only):
    """What chooses weights, after checking that it can: also from what `to_config` gave."""
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


def to_config(perturb_only):
    """What Keras can save of it."""
    if perturb_only is None or isinstance(perturb_only, str):
        return perturb_only
    return keras.saving.serialize_keras_object(perturb_only)


def among(model, perturb_only, variables):
    """Whether each of the variables is chosen: a list of bools.

    Args:
        model: Whose variables they are.
        perturb_only: What `get` gave.
        variables: The trainable variables.

    Raises:
        ValueError: None is chosen, of those that are there.
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
            "`perturb_only` must be a choice of some trainable variables, and chooses none. "
            f"Received: perturb_only={perturb_only!r} and the variables "
            f"{[v.path for v in variables]}"
        )
    return chosen

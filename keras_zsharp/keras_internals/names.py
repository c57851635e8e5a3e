"""The private names of Keras that the library sets, overrides or calls.

A name that is set or overridden would be missed in silence, so all are looked up once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from keras_zsharp.backend import NAME

OF_MODELS = {
    "_allow_non_tensor_positional_args": "to hand inputs on as they are",
    "_build_shapes_dict": "to build a wrapper as the model inside",
    "_call_has_training_arg": "to call a layer with `training` only where it takes that",
    "_call_signature": "to build a wrapper from the arguments of the model inside",
    "_compute_loss": "to call a `compute_loss` that takes no `training`",
    "_convert_input_args": "to hand inputs on without casting them",
    "_flatten_layers": "to go through layers within layers",
    "_loss_ids": "to know which layers add losses",
    "_metrics": "to know the metrics of a model itself",
    "_non_trainable_variables": "to tell a layer's own state from that of layers in it",
    "_open_name_scope": "to leave variables the paths that they have without a wrapper",
    "_seed_generators": "to save random seeds",
    "_trainable_variables": "to tell a layer's own weights from those of layers in it",
    "_tracker": "to track a rule in a model that is built",
    "_unpickle_model": "to copy and pickle",
    "supports_jit": "to keep a step from being compiled",
}
OF_MODELS_BY_BACKEND = {
    "tensorflow": {
        "_distribute_strategy": "to know whether there are several devices",
        "_maybe_symbolic_build": "to build before callbacks restore weights",
    },
    "jax": {
        "_get_jax_state": "to keep the state that a step starts from",
        "_jax_state_synced": "to know who has the state",
        "_update_metrics_variables": "to update metrics as Keras' own step does",
        "compute_loss_and_updates": "to take a pass as Keras' own step does",
        "jax_state_sync": "to read weights while `fit` has them",
    },
    "torch": {"_modules": "to find layers among attributes"},
}
OF_SCOPES = {
    "add_update": "to see what a pass assigns",
    "get_current_value": "to give weights other values in a pass",
    "state_mapping": "to give weights other values in a pass",
}


def some(things: Iterable[Any], what: str) -> tuple[Any, ...]:
    """What was looked for in Keras by a private name of a module.

    Raises:
        RuntimeError: There is nothing, as in a release of Keras that renamed the module.
    """
    found = tuple(things)
    if not found:
        raise RuntimeError(
            f"This version of keras_zsharp does not work with Keras {keras.__version__}, in which "
            f"it finds no {what}. Install another version of one of them"
        )
    return found


def check(thing: Any) -> None:
    """Checks that a model, or a `keras.StatelessScope`, has the names that the library needs.

    Raises:
        RuntimeError: It lacks one, as in a release of Keras that renamed it.
    """
    needed, base = OF_SCOPES, keras.StatelessScope
    if isinstance(thing, keras.Model):
        needed = {**OF_MODELS, **OF_MODELS_BY_BACKEND[NAME]}
        base = keras.Model
    # Not of the thing's own class: that may have overridden what Keras no longer has.
    missing = [n for n in needed if not hasattr(base, n) and n not in vars(thing)]
    if missing:
        reasons = "; ".join(f"`{name}`, {needed[name]}" for name in missing)
        raise RuntimeError(
            f"This version of keras_zsharp does not work with Keras {keras.__version__}, whose "
            f"{base.__name__} lacks what it needs: {reasons}. Install another version of "
            "one of them"
        )

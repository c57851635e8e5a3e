from __future__ import annotations

import keras


def check_mode() -> None:
    """Refuses Keras' NNX mode, whose variables are not those of a step's state.

    Raises:
        ValueError: Keras runs in this mode.
    """
    # Keras 3.8 has no such mode.
    if getattr(keras.config, "is_nnx_enabled", bool)():
        raise ValueError(
            "A sharpness-aware model does not train in Keras' NNX mode. Unset the environment "
            "variable KERAS_NNX_ENABLED, or set `nnx_enabled` to false in Keras' config file, "
            "before importing keras. Received: keras.config.is_nnx_enabled() is True"
        )

"""The step on Keras' backend, which is the only one that is imported."""

import importlib

import keras

BACKENDS = ("tensorflow", "jax", "torch")


def _step():
    backend = keras.backend.backend()
    if backend not in BACKENDS:
        raise ImportError(
            f"keras_zsharp trains on Keras' backends {', '.join(BACKENDS)}. Set KERAS_BACKEND to "
            f"one of them before importing keras. Received: backend {backend!r}"
        )
    return importlib.import_module(f"keras_zsharp.training.{backend}.step").TwoPassStep


TwoPassStep = _step()


def generators():
    """States of PyTorch's own generators, as arrays: its layers without a seed draw from them."""
    if keras.backend.backend() != "torch":
        return []
    return [state.numpy() for state in _randomness().state()]


def set_generators(states):
    """Puts such states back; those of a file from another backend are none of this one's."""
    if states and keras.backend.backend() == "torch":
        _randomness().restore_arrays(states)


def _randomness():
    return importlib.import_module("keras_zsharp.training.torch.randomness")

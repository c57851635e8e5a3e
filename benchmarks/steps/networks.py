"""The networks of the benchmark, on Keras 3."""

import keras

import keras_zsharp
from steps.dense import dense


def build(name):
    """A network of `keras_zsharp.models`, or `dense`, for 32 x 32 pixels and ten classes."""
    if name == "dense":
        return dense(keras)
    if name == "small_cnn":
        return keras_zsharp.models.small_cnn((32, 32, 3), 10)
    return getattr(keras_zsharp.models, name)()

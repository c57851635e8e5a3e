"""Builders of networks: plain functional Keras models that return logits."""

from keras_zsharp.models.small_cnn import small_cnn

__all__ = ["small_cnn"]

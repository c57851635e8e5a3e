"""The step on Keras' TensorFlow backend."""

from keras_zsharp.training.tensorflow.step import TwoPassStep

__all__ = ["TwoPassStep"]

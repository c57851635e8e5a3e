"""The two-pass training step."""

from keras_zsharp.training.tensorflow import SharpnessAwareTraining

__all__ = ["SharpnessAwareTraining"]

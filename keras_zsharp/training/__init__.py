"""The two-pass training step."""

from keras_zsharp.training.mixin import SharpnessAwareTraining

__all__ = ["SharpnessAwareTraining"]

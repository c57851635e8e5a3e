"""The two-pass training step."""

from keras_zsharp.training.mixin import SharpnessAwareTraining
from keras_zsharp.training.options import StepOptions

__all__ = ["SharpnessAwareTraining", "StepOptions"]

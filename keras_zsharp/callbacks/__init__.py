"""Keras callbacks."""

from keras_zsharp.callbacks.sharpness_monitor import SharpnessMonitor

__all__ = ["SharpnessMonitor"]

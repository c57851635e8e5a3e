"""Keras callbacks."""

from keras_zsharp.callbacks.backup import Backup, DamagedBackup
from keras_zsharp.callbacks.sharpness_monitor import SharpnessMonitor
from keras_zsharp.callbacks.weight_averaging import WeightAveraging

__all__ = ["Backup", "DamagedBackup", "SharpnessMonitor", "WeightAveraging"]

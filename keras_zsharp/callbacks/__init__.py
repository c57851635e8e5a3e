"""Keras callbacks."""

from keras_zsharp.callbacks.backup import Backup, DamagedBackup
from keras_zsharp.callbacks.sharpness_monitor import SharpnessMonitor

__all__ = ["Backup", "DamagedBackup", "SharpnessMonitor"]

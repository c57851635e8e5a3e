"""Sharpness-aware training for Keras 3."""

from keras_zsharp import models
from keras_zsharp.in_place import plain, sharpness_aware
from keras_zsharp.model import SharpnessAwareModel
from keras_zsharp.perturbations import (
    ASAM,
    GSAM,
    LESAM,
    MSAM,
    SAM,
    SSAM,
    WSAM,
    AdaptiveFriendlySAM,
    FisherSAM,
    FriendlySAM,
    LookSAM,
    Perturbation,
    ZSharp,
)
from keras_zsharp.training import SharpnessAwareTraining

from . import analysis, callbacks, data, schedules, sharpness

__all__ = [
    "ASAM",
    "GSAM",
    "LESAM",
    "MSAM",
    "SAM",
    "SSAM",
    "WSAM",
    "AdaptiveFriendlySAM",
    "FisherSAM",
    "FriendlySAM",
    "LookSAM",
    "Perturbation",
    "SharpnessAwareModel",
    "SharpnessAwareTraining",
    "ZSharp",
    "analysis",
    "callbacks",
    "data",
    "models",
    "plain",
    "schedules",
    "sharpness",
    "sharpness_aware",
]

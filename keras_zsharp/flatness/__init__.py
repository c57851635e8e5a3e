"""Measures of how flat the loss is around a model's weights."""

from keras_zsharp.flatness.ball import BallLoss, ball_loss
from keras_zsharp.flatness.density import spectral_density
from keras_zsharp.flatness.landscape import Landscape, loss_landscape
from keras_zsharp.flatness.objective import MeanLoss
from keras_zsharp.flatness.smoothed import SpectralDensity
from keras_zsharp.flatness.spectrum import hessian_spectrum
from keras_zsharp.flatness.trace import Trace, hessian_trace

__all__ = [
    "BallLoss",
    "Landscape",
    "MeanLoss",
    "SpectralDensity",
    "Trace",
    "ball_loss",
    "hessian_spectrum",
    "hessian_trace",
    "loss_landscape",
    "spectral_density",
]

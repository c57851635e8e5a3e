"""What a trained classifier does besides its accuracy: calibration, bits, damaged images."""

import warnings

import keras
import numpy as np
from scipy import ndimage, special

import keras_zsharp
from keras_zsharp import flatness

BINS = 15
NOISE, BLUR = (0.5, 1.0), (0.5, 1.0)
"""Standard deviations of the noise, in those of the pixels, and of the blur, in pixels."""
RADIUS = 0.5
"""Of the ball."""


class Classifier:
    """`measures` of `Fit` for a network that gives logits of images.

    `nll` is the mean negative log likelihood in nats, `calibration_error` the expected calibration
    error. `lost_in_int8` and `lost_in_int4` are the accuracy that `keras.Model.quantize` costs,
    `noise_...` and `blur_...` the accuracy on damaged images.

    Args:
        images: Test images.
        labels: Their classes.
        train: Images and labels of training, for `flat`.
    """

    def __init__(self, images, labels, train):
        self.images, self.labels, self.train = images, labels, train

    def __call__(self, model):
        aware = isinstance(model, keras_zsharp.SharpnessAwareTraining)
        network = keras_zsharp.plain(model) if aware else model
        logits = predict(network, self.images)
        chances = special.log_softmax(logits, -1)
        right = accuracy(logits, self.labels)
        found = {
            "nll": -float(chances[np.arange(len(self.labels)), self.labels].mean()),
            "calibration_error": calibration_error(np.exp(chances), self.labels),
        }
        for mode in ("int8", "int4"):
            found[f"lost_in_{mode}"] = right - self._accuracy(quantized(network, mode), self.images)
        for name, images in damaged(self.images):
            found[name] = self._accuracy(network, images)
        return {**found, **flat(model, *self.train)}

    def _accuracy(self, network, images):
        return accuracy(predict(network, images), self.labels)


def flat(model, x, y):
    """Flatness of the loss of training: `ball_sharpness` and the Hessian's top `eigenvalue`."""
    mean = flatness.MeanLoss(model, (x, y), batch_size=250)
    [eigenvalue] = flatness.hessian_spectrum(model, mean, k=1, tol=1e-2)
    return {
        "ball_sharpness": float(flatness.ball_loss(model, mean, RADIUS).sharpness),
        "eigenvalue": float(eigenvalue),
    }


def damaged(images):
    """Images under noise and blur, by names."""
    noise = np.random.default_rng(0).normal(size=images.shape).astype("float32")
    for std in NOISE:
        yield f"noise_{std}", images + std * noise
    for std in BLUR:
        yield f"blur_{std}", ndimage.gaussian_filter(images, (0, std, std, 0))


def predict(network, images):
    return network.predict(images, batch_size=500, verbose=0)


def accuracy(logits, labels):
    return float((logits.argmax(-1) == labels).mean())


def calibration_error(probabilities, labels):
    """Expected calibration error: how far confidence is from accuracy.

    The mean over the examples of |accuracy - mean confidence| of the bin that an example's largest
    probability falls in; there are 15 bins of equal width. Guo et al., On Calibration of Modern
    Neural Networks, ICML 2017.
    """
    confidence = probabilities.max(-1)
    right = probabilities.argmax(-1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, right, BINS) - np.bincount(bins, confidence, BINS)
    return float(np.abs(gaps).sum()) / len(labels)


def quantized(network, mode):
    """A copy of the network, quantized."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    with warnings.catch_warnings():
        # One for each layer that Keras does not quantize.
        warnings.filterwarnings("ignore", ".*does not have a `quantize` method")
        copy.quantize(mode)
    return copy

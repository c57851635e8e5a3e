"""What a trained network does beyond its accuracy: calibration, quantization, damaged images."""

import warnings

import keras
import numpy as np
from scipy import ndimage, special

BINS = 15
NOISE, BLUR = (0.5, 1.0), (0.5, 1.0)
"""Standard deviations of the noise, in those of the pixels, and of the blur, in pixels."""
NAMES = (
    *("accuracy", "nll", "ece", "quantized", "int8", "int4"),
    *(f"noise={std}" for std in NOISE),
    *(f"blur={std}" for std in BLUR),
)
"""Of the measures."""


def measures(path, images, labels):
    """By name, those of a network in a `.keras` file that gives logits.

    Accuracies are in %: `accuracy`, after `keras.Model.quantize` to `int8` and `int4`, and under
    `noise=...` and `blur=...`. `quantized` is the share of weights that Keras quantizes, in %;
    `nll` is the mean negative log likelihood in nats, `ece` the `calibration_error` in %.
    """
    network = keras.models.load_model(path)
    logits = predict(network, images)
    chances = special.log_softmax(logits, -1)
    found = {
        "accuracy": accuracy(logits, labels),
        "nll": -float(chances[np.arange(len(labels)), labels].mean()),
        "ece": calibration_error(np.exp(chances), labels),
    }
    for mode in ("int8", "int4"):
        quantized, share = quantize(keras.models.load_model(path), mode)
        found.setdefault("quantized", share)
        found[mode] = accuracy(predict(quantized, images), labels)
    noise = np.random.default_rng(0).normal(size=images.shape).astype("float32")
    for std in NOISE:
        found[f"noise={std}"] = accuracy(predict(network, images + std * noise), labels)
    for std in BLUR:
        blurred = ndimage.gaussian_filter(images, (0, std, std, 0))
        found[f"blur={std}"] = accuracy(predict(network, blurred), labels)
    return found


def predict(network, images):
    return network.predict(images, batch_size=500, verbose=0)


def accuracy(logits, labels):
    return 100 * float((logits.argmax(-1) == labels).mean())


def calibration_error(probabilities, labels):
    """Expected calibration error in %: how far confidence is from accuracy.

    The mean over the examples of |accuracy - mean confidence| of the bin that an example's largest
    probability falls in; there are 15 bins of equal width. Guo et al., On Calibration of Modern
    Neural Networks, ICML 2017.
    """
    confidence = probabilities.max(-1)
    right = probabilities.argmax(-1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, right, BINS) - np.bincount(bins, confidence, BINS)
    return 100 * float(np.abs(gaps).sum()) / len(labels)


def quantize(network, mode):
    """The network, quantized in place, and the share of its weights that are, in %."""
    total = network.count_params()
    with warnings.catch_warnings():
        # One for each layer that Keras does not quantize.
        warnings.filterwarnings("ignore", ".*does not have a `quantize` method")
        network.quantize(mode)
    integers = [np.prod(v.shape) for v in network.weights if v.dtype in ("int8", "uint8")]
    return network, 100 * float(sum(integers)) / total

"""The measures of trained networks, of some that are known."""

import keras
import numpy as np
import pytest

from examples.study import trained


@pytest.fixture
def network():
    """A network that tells the sign of a pixel, its images and their classes."""
    layers = [keras.layers.Flatten(), keras.layers.Dense(2, use_bias=False)]
    model = keras.Sequential([keras.Input((2, 2, 1)), *layers])
    kernel = np.zeros((4, 2), "float32")
    kernel[0] = -1, 1
    model.set_weights([kernel])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = np.zeros((40, 2, 2, 1), "float32")
    images[:, 0, 0, 0] = np.linspace(-2, 2, 40)
    return model, images, (images[:, 0, 0, 0] > 0).astype("int32")


def test_of_a_network_that_is_known(network):
    model, images, labels = network
    found = trained.Classifier(images, labels, (images, labels))(model)
    x = images[:, 0, 0, 0]
    assert found["nll"] == pytest.approx(np.log1p(np.exp(-2 * np.abs(x))).mean(), rel=1e-5)
    assert found["lost_in_int8"] == 0
    assert found["noise_1.0"] < 1
    # A blurred pixel is a positive part of itself where its neighbours are 0.
    assert found["blur_1.0"] == 1
    # Of the Hessian in the difference of the two weights of that pixel.
    chance = 1 / (1 + np.exp(2 * x))
    curvature = 2 * (chance * (1 - chance) * x**2).mean()
    assert found["eigenvalue"] == pytest.approx(curvature, rel=1e-3)
    assert found["ball_sharpness"] > 0
    wrong = trained.Classifier(images, 1 - labels, (images, labels))(model)
    assert wrong["calibration_error"] == pytest.approx(1 - found["calibration_error"])


def test_calibration():
    sure = np.array([[1.0, 0.0]] * 10)
    assert trained.calibration_error(sure, np.zeros(10, int)) == 0
    assert trained.calibration_error(sure, np.ones(10, int)) == 1
    # Ten with 0.9, of which eight are right, and ten with 0.6, of which five are.
    chances = np.array([[0.9, 0.1]] * 10 + [[0.6, 0.4]] * 10)
    labels = np.array([0] * 8 + [1] * 2 + [0] * 5 + [1] * 5)
    assert trained.calibration_error(chances, labels) == pytest.approx(0.1)

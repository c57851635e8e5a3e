"""A small network in NumPy, in float64, and the Hessian of its loss by central differences."""

import functools
import itertools

import keras
import numpy as np
from keras import layers

RANDOM = np.random.default_rng(0)
X, Y = (RANDOM.normal(size=(20, n)).astype("float32") for n in (3, 2))
DATA = X, Y
WEIGHTS = [RANDOM.normal(size=shape).astype("float32") for shape in ((3, 4), (4,), (4, 2), (2,))]
PARTS = {"net/hidden": slice(0, 16), "net/head": slice(16, 26)}
"""Where the weights of each layer are among all."""
STEP = 1e-4


def network():
    """The same in Keras: 26 weights."""
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, "tanh", name="hidden"), layers.Dense(2, name="head")],
        name="net",
    )
    model.set_weights(WEIGHTS)
    model.compile("sgd", "mse")
    return model


def loss(vector):
    kernel, bias, head, offset = np.split(vector, np.cumsum([12, 4, 8]))
    hidden = np.tanh(X.astype("float64") @ kernel.reshape(3, 4) + bias)
    return np.mean((hidden @ head.reshape(4, 2) + offset - Y) ** 2)


@functools.cache
def hessian():
    """`d²L / dw²` of shape (26, 26)."""
    at = np.concatenate([w.astype("float64").ravel() for w in WEIGHTS])
    found, steps = np.zeros((at.size, at.size)), STEP * np.eye(at.size)
    for i, j in itertools.combinations_with_replacement(range(at.size), 2):
        corners = [a * b * loss(at + a * steps[i] + b * steps[j]) for a in (1, -1) for b in (1, -1)]
        found[i, j] = found[j, i] = sum(corners) / (4 * STEP**2)
    return found


def blocks():
    """The blocks of the Hessian by the layer's path."""
    return {path: hessian()[part, part] for path, part in PARTS.items()}

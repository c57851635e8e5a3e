"""Ours, and Keras' own step as `AdamW`, on the backend that `KERAS_BACKEND` names."""

import importlib
import math

import keras

import keras_zsharp
from steps import networks, tables

RULES = {rule.__name__: rule for rule in keras_zsharp.rules.RULES.values()}
BACKEND = keras.backend.backend()
VERSIONS = {
    "Keras": keras.__version__,
    BACKEND: importlib.import_module(BACKEND).__version__,
}
JIT_COMPILE = {"graph": False, "xla": True}
"""On the other backends it is Keras' default: JAX compiles, PyTorch does not."""
PERIODS = {"LookSAM": keras_zsharp.LookSAM().every}
"""Methods whose steps differ, and after how many steps they come again."""


def step(network, method, mode, x, y):
    """A function that trains on the batch once, and the bytes of the trainable weights."""
    net = networks.build(network)
    model = net
    if method == tables.QUARTER:
        model = keras_zsharp.SharpnessAwareModel(net, "sam", ascent_fraction=0.25)
    elif method != "AdamW":
        model = keras_zsharp.SharpnessAwareModel(net, RULES[method]())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adamw", loss, jit_compile=JIT_COMPILE.get(mode, "auto"))
    weights = 4 * sum(math.prod(v.shape) for v in net.trainable_variables)
    return lambda: model.train_on_batch(x, y), weights

"""Ours, and Keras' own step as `AdamW`, on the backend that `KERAS_BACKEND` names."""

import importlib
import math

import keras

import keras_zsharp

RULES = {
    "SAM": keras_zsharp.SAM,
    "ASAM": keras_zsharp.ASAM,
    "Friendly-SAM": keras_zsharp.FriendlySAM,
    "F-ASAM": keras_zsharp.AdaptiveFriendlySAM,
    "Fisher SAM": keras_zsharp.FisherSAM,
    "GSAM": keras_zsharp.GSAM,
    "LESAM": keras_zsharp.LESAM,
    "LookSAM": keras_zsharp.LookSAM,
    "MSAM": keras_zsharp.MSAM,
    "SSAM": keras_zsharp.SSAM,
    "WSAM": keras_zsharp.WSAM,
    "ZSharp": keras_zsharp.ZSharp,
}
BACKEND = keras.backend.backend()
VERSIONS = {
    "Keras": keras.__version__,
    BACKEND: importlib.import_module(BACKEND).__version__,
}
JIT_COMPILE = {"graph": False, "xla": True}
"""On the other backends it is Keras' default: JAX compiles, PyTorch does not."""


def step(network, method, mode, x, y):
    """A function that trains on the batch once, and the bytes of the trainable weights."""
    net = getattr(keras_zsharp.models, network)()
    model = net
    if method != "AdamW":
        model = keras_zsharp.SharpnessAwareModel(net, RULES[method]())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adamw", loss, jit_compile=JIT_COMPILE.get(mode, "auto"))
    weights = 4 * sum(math.prod(v.shape) for v in net.trainable_variables)
    return lambda: model.train_on_batch(x, y), weights

"""Ours, and Keras' own step as `AdamW`."""

import keras
import tensorflow as tf

import keras_zsharp

RULES = {
    "SAM": keras_zsharp.SAM,
    "ASAM": keras_zsharp.ASAM,
    "Friendly-SAM": keras_zsharp.FriendlySAM,
    "F-ASAM": keras_zsharp.AdaptiveFriendlySAM,
    "Fisher SAM": keras_zsharp.FisherSAM,
    "GSAM": keras_zsharp.GSAM,
    "ZSharp": keras_zsharp.ZSharp,
}
VERSIONS = {"Keras": keras.__version__, "TensorFlow": tf.__version__}


def step(network, method, mode, x, y):
    """A function that trains on the batch once, and the bytes of the trainable weights."""
    net = getattr(keras_zsharp.models, network)()
    model = net
    if method != "AdamW":
        model = keras_zsharp.SharpnessAwareModel(net, RULES[method]())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adamw", loss, jit_compile=mode == "xla")
    weights = 4 * sum(int(v.shape.num_elements()) for v in net.trainable_variables)
    return lambda: model.train_on_batch(x, y), weights

"""Keras 2's `SharpnessAwareMinimization`, on the networks that this project builds.

The builders' files are run with `tf_keras` in the place of `keras`: the architectures are the same.
"""

import importlib
import pathlib
import sys
import types

import tensorflow as tf
import tf_keras

from steps.dense import dense

VERSIONS = {"Keras 2": tf_keras.__version__}
MODULES = {"resnet": "cifar_resnet", "vgg": "vgg", "vit": "vit"}
"""Those of `models/`, by the beginning of a network's name."""


def builders(name):
    """The module `name` of `models/`, for Keras 2."""
    tf_keras.ops = types.SimpleNamespace(
        broadcast_to=tf.broadcast_to, concatenate=tf.concat, pad=tf.pad, shape=tf.shape
    )
    tf_keras.KerasTensor = type(tf_keras.Input((1,)))
    root = pathlib.Path(__file__).parents[2]
    folders = {"keras_zsharp": root / "keras_zsharp", "keras_zsharp.models": root / "models"}
    for module, folder in folders.items():
        sys.modules[module] = types.ModuleType(module)
        sys.modules[module].__path__ = [str(folder)]
    keras, sys.modules["keras"] = sys.modules.get("keras"), tf_keras
    try:
        return importlib.import_module(f"keras_zsharp.models.{name}")
    finally:
        sys.modules["keras"] = keras


def built(network):
    """A network of `models/`."""
    if network == "small_cnn":
        return builders(network).small_cnn((32, 32, 3), 10)
    [module] = [name for name in MODULES if network.startswith(name)]
    return getattr(builders(MODULES[module]), network)()


def step(network, method, mode, x, y):
    """As in `keras3`; of the rules there was only SAM."""
    net = dense(tf_keras) if network == "dense" else built(network)
    model = net
    if method == "SAM":
        model = tf_keras.models.experimental.SharpnessAwareMinimization(net, rho=0.05)
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf_keras.optimizers.AdamW(), loss, jit_compile=mode == "xla")
    weights = 4 * sum(int(tf.size(v)) for v in net.trainable_variables)
    return lambda: model.train_on_batch(x, y), weights

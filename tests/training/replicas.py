"""Trains on one or two logical CPU devices, or on a cluster's workers, and stores what came of it.

    python -m tests.training.replicas FILE DEVICES RULE SYNC STEPS [POLICY [BAD]]

A process of its own: devices cannot be split after TensorFlow has looked at them. With the
environment variable TF_CONFIG it is one of the workers. Without a RULE ("") plain Keras trains.
STEPS may be a part of one: 0.5 is a batch of half the size. A BAD number stands in the first
device's part of the last batch, which is to be skipped.
"""

import os
import sys

import keras
import numpy as np
import tensorflow as tf

import keras_zsharp

BATCH_SIZE = 32


def network():
    """Without weights before its first batch."""
    hidden = keras.layers.Dense(8, activation="tanh", kernel_regularizer="l2")
    return keras.Sequential([hidden, keras.layers.Dense(1, dtype="float32")])


def distributed(devices):
    if "TF_CONFIG" in os.environ:
        return tf.distribute.MultiWorkerMirroredStrategy()
    [cpu] = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * devices
    tf.config.set_logical_device_configuration(cpu, parts)
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(devices)])


def built(rule, sync):
    net = network()
    if not rule:
        return net
    rule = keras_zsharp.rules.get(rule)
    rule.rho = 0.5
    every, sync = (2, "global") if sync == "global, every other step" else (1, sync)
    return keras_zsharp.SharpnessAwareModel(net, rule, perturb_every=every, perturbation_sync=sync)


def main(file, devices, rule, sync, steps, policy="float32", bad=None):
    strategy = distributed(int(devices))
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    with strategy.scope():
        model = built(rule, sync)
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", metrics=["mae"])
    random = np.random.default_rng(0)
    x = random.normal(size=(int(float(steps) * BATCH_SIZE), 4)).astype("float32")
    y = np.sin(x.sum(axis=1, keepdims=True))
    test = (x[:BATCH_SIZE].copy(), y[:BATCH_SIZE])
    if bad:
        model.skip_nonfinite = True
        x[-BATCH_SIZE] = float(bad)
    logs = model.fit(x, y, BATCH_SIZE, shuffle=False, verbose=0, validation_data=test).history
    logs = {name: values[0] for name, values in logs.items()}
    replicas = {
        str(i): [tf.convert_to_tensor(r) for r in strategy.experimental_local_results(v.value)]
        for i, v in enumerate(model.variables)
    }
    logs["steps"] = model.optimizer.iterations.numpy()
    np.savez(file, **replicas, **logs, predicted=model.predict(x, verbose=0).shape[0])


if __name__ == "__main__":
    main(*sys.argv[1:])

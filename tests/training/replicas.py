"""Trains on two logical CPU devices, or on one, and stores what came of it.

    python -m tests.training.replicas FOLDER DEVICES RULE SYNC STEPS [POLICY]

A process of its own: devices cannot be split after TensorFlow has looked at them.
"""

import sys

import keras
import numpy as np
import tensorflow as tf

import keras_zsharp

BATCH_SIZE = 32


def network():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(8, activation="tanh", kernel_regularizer="l2")(inputs)
    return keras.Model(inputs, keras.layers.Dense(1, dtype="float32")(x))


def main(folder, devices, rule, sync, steps, policy="float32"):
    [cpu] = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * int(devices)
    tf.config.set_logical_device_configuration(cpu, parts)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(int(devices))])
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    every, sync = (2, "global") if sync == "global, every other step" else (1, sync)
    with strategy.scope():
        rule = keras_zsharp.perturbations.get(rule)
        rule.rho = 0.5
        model = keras_zsharp.SharpnessAwareModel(
            network(), rule, perturb_every=every, perturbation_sync=sync
        )
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", metrics=["mae"])
    random = np.random.default_rng(0)
    x = random.normal(size=(int(steps) * BATCH_SIZE, 4)).astype("float32")
    y = np.sin(x.sum(axis=1, keepdims=True))
    history = model.fit(x, y, batch_size=BATCH_SIZE, shuffle=False, verbose=0).history
    variables = [*model.model.variables, *rule.variables]
    replicas = [
        [tf.convert_to_tensor(r).numpy() for r in strategy.experimental_local_results(v.value)]
        for v in variables
    ]
    results = {f"{i}": np.stack(values) for i, values in enumerate(replicas)}
    np.savez(f"{folder}/{devices}.npz", **results, **{k: v[0] for k, v in history.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])

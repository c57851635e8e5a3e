"""What fails on two devices in plain Keras, and how this library refuses it: lines of JSON.

python -m tests.training.refused
"""

import json

import keras
import numpy as np
import tensorflow as tf

from keras_zsharp import SharpnessAwareModel

OPTIONS = {
    "gradient_accumulation_steps": 2,
    "steps_per_execution": 2,
    "jit_compile": True,
}


def fails_with(strategy, name, value, wrap):
    with strategy.scope():
        model = wrap(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]))
        of_optimizer = {name: value} if name == "gradient_accumulation_steps" else {}
        of_model = {} if of_optimizer else {name: value}
        model.compile(keras.optimizers.SGD(0.1, **of_optimizer), "mse", **of_model)
    try:
        model.fit(np.ones((16, 4)), np.ones((16, 1)), batch_size=8, verbose=0)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main():
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for name, value in OPTIONS.items():
        plain = fails_with(strategy, name, value, lambda net: net)
        ours = fails_with(strategy, name, value, lambda net: SharpnessAwareModel(net, "sam"))
        print(json.dumps({"option": name, "plain": plain, "ours": ours}))


if __name__ == "__main__":
    main()

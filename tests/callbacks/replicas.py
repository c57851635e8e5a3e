"""Trains on two logical CPU devices, or as one of two workers, with a backup.

    python -m tests.callbacks.replicas FILE FOLDER DEVICES RULE EPOCHS

It goes on from the backups in FOLDER, and leaves them there. FILE gets what all variables end with.
With the environment variable TF_CONFIG it is one of the workers.
"""

import sys

import keras
import numpy as np

from keras_zsharp import SharpnessAwareModel, rules
from keras_zsharp.callbacks import Backup


def main(file, folder, devices, rule, epochs):
    from tests.training.replicas import distributed  # Imports TensorFlow.

    strategy = distributed(int(devices))
    keras.utils.set_random_seed(0)
    with strategy.scope():
        hidden = keras.layers.Dense(8, activation="tanh")
        net = keras.Sequential(
            [keras.Input((4,)), hidden, keras.layers.Dropout(0.3), keras.layers.Dense(1)]
        )
        model = SharpnessAwareModel(net, rules.get(rule))
        model.rule.rho = 0.5
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    random = np.random.default_rng(0)
    x = random.normal(size=(64, 4)).astype("float32")
    y = np.sin(x.sum(axis=1, keepdims=True))
    backup = Backup(folder, delete_checkpoint=False)
    model.fit(x, y, 16, epochs=int(epochs), verbose=0, callbacks=[backup], shuffle=False)
    values = [
        keras.ops.convert_to_tensor(v) for v in [*model.variables, *model.optimizer.variables]
    ]
    np.savez(file, *values)


if __name__ == "__main__":
    main(*sys.argv[1:])

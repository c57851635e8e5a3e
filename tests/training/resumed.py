"""A run that may be killed, and goes on when it is started again.

    python -m tests.training.resumed FOLDER NAME HOW [STEP [EPOCHS]]

Four epochs, or EPOCHS, of six steps with everything that has a state: augmentation in the data and
in the model, dropout, BatchNormalization, schedules of learning rate and rho. HOW it goes on is
"backup", by `keras_zsharp.callbacks.Backup`, or "checkpoint", from a `.keras` file of
`ModelCheckpoint`. With a STEP that is not 0, the process kills itself in the middle of it. What it
ends with is stored as `end.npz`.
"""

import os
import pathlib
import signal
import sys

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import keras_zsharp

EPOCHS, STEPS = 4, 6
WITH_STATE = ("adaptive_friendly_sam", "friendly_sam", "look_sam", "zsharp")
"""Rules of which a file has more than of SAM: averages, masks that follow a schedule."""
RULES = {
    **{name: keras_zsharp.rules.RULES[name] for name in ("sam", "asam", "msam", *WITH_STATE)},
    "unbuilt": keras_zsharp.FriendlySAM,
}


def parts():
    return [
        layers.RandomTranslation(0.1, 0.1),
        layers.Conv2D(4, 3),
        layers.BatchNormalization(),
        layers.Dropout(0.3),
        layers.Flatten(),
        layers.Dense(10),
    ]


@keras.saving.register_keras_serializable("tests")
class Unbuilt(keras.Model):
    """Has no weights before its first batch."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.parts = parts()

    def call(self, inputs):
        for part in self.parts:
            inputs = part(inputs)
        return inputs


class Kill(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def build(name):
    net = Unbuilt() if name == "unbuilt" else keras.Sequential([keras.Input((8, 8, 1)), *parts()])
    rho = keras.optimizers.schedules.PolynomialDecay(0.05, 20, 0.5)
    model = keras_zsharp.SharpnessAwareModel(net, RULES[name](rho))
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 1, 0.95)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(rate), loss, metrics=["accuracy"], jit_compile=False)
    return model


def main(folder, name, how, step=0, epochs=EPOCHS):
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)
    folder = pathlib.Path(folder)
    bundle = keras_zsharp.data.digits(16, 16 * STEPS, label_noise=0.2, augment="cutout")
    checkpoint, first = folder / "model.keras", 0
    if how == "backup":
        model, keeping = build(name), keras_zsharp.callbacks.Backup(folder / "backup")
    else:
        keeping = keras.callbacks.ModelCheckpoint(checkpoint)
        model = keras.saving.load_model(checkpoint) if checkpoint.exists() else build(name)
        first = int(model.optimizer.iterations) // STEPS
    callbacks = [keeping, bundle.epoch_order, Kill(int(step))]
    model.fit(bundle.train, epochs=int(epochs), initial_epoch=first, callbacks=callbacks, verbose=0)
    state = [*model.variables, *model.optimizer.variables]
    np.savez(folder / "end.npz", *(keras.ops.convert_to_numpy(v) for v in state))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Trains sharpness-aware, and serves the plain network where keras_zsharp is not installed.

    python examples/serving.py

Takes 30 seconds of a CPU core. Writes the network into `--output`, as a SavedModel and as a
`.keras` file. A process of its own, which cannot import keras_zsharp, loads both and predicts.
Prints the test accuracy, and how far these predictions are from the trained model's. The data are
scikit-learn's digits, 40 % of whose training labels are wrong.

The network inside a `SharpnessAwareModel` is a plain Keras model, and its files know of no rule.
A model that `sharpness_aware` changed in place becomes plain again by the same function, `plain`.
"""

import argparse
import os
import pathlib
import subprocess
import sys


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("serving"))
    options = parser.parse_args(arguments)
    if options.epochs < 1:
        parser.error("--epochs must be >= 1")
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--output must be a folder that can be written: {error}")
    return options


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_zsharp

SERVER = """
import sys

sys.modules["keras_zsharp"] = None  # `import keras_zsharp` fails, as where it is not installed

import keras
import numpy as np
import tensorflow as tf

images = np.load("images.npy")
exported = tf.saved_model.load("network")
saved = keras.saving.load_model("network.keras")
np.savez(
    "predictions.npz",
    saved_model=exported.serve(images),
    keras_file=saved.predict(images, verbose=0),
)
"""


def train(epochs):
    """A sharpness-aware model, trained, and the test data."""
    keras.utils.set_random_seed(0)
    data = keras_zsharp.data.digits(label_noise=0.4)
    net = keras_zsharp.models.small_cnn(data.input_shape, data.classes)
    model = keras_zsharp.SharpnessAwareModel(net, keras_zsharp.SAM(rho=0.2))
    model.compile("adamw", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(data.train, epochs=epochs, verbose=2)
    return model, data.arrays["test"]


def export(model, folder):
    """Writes the network without rule and wrapper."""
    net = keras_zsharp.plain(model)
    net.export(folder / "network", verbose=False)
    net.save(folder / "network.keras")


def main(arguments=None):
    options = parse(arguments)
    print("Trains a CNN with SAM, and serves it: 30 seconds of a CPU core.", flush=True)
    model, (images, labels) = train(options.epochs)
    export(model, options.output)
    np.save(options.output / "images.npy", images)
    subprocess.run([sys.executable, "-c", SERVER], cwd=options.output, check=True)
    expected = model.predict(images, verbose=0)
    print(f"Test accuracy {100 * np.mean(expected.argmax(-1) == labels):.1f} %")
    for name, served in np.load(options.output / "predictions.npz").items():
        print(f"{name}: logits within {np.abs(served - expected).max():.1e} of the trained model's")


if __name__ == "__main__":
    main()

"""Large batches in small memory: Keras' gradient accumulation, and `micro_batches`.

    python examples/gradient_accumulation.py

Takes 20 seconds of a CPU core. Trains by 60 examples a step in three ways, and prints a line for
each. The data are scikit-learn's digits, 40 % of whose training labels are wrong.

- Accumulated: `Optimizer(gradient_accumulation_steps=4)` and batches of 15. The optimizer takes a
  step every 4 batches, by the mean of their gradients. 15 examples are in memory at a time.
- In parts: `SharpnessAwareModel(..., micro_batches=4)` and batches of 60. The step takes the parts
  of a batch one after the other.
- Whole: batches of 60, as they are.

In the first two, each 15 examples have a perturbation of their own, from their own gradient: they
train to the same weights, but for rounding. BatchNormalization normalizes by 15 examples, too. In
the third, one perturbation is for all 60.

With accumulation, `perturb_from`, `perturb_every`, LookSAM's k and schedules of rho count the
optimizer's steps. Keras' schedules of the learning rate count batches, and a rule's average moves
at every batch.
"""

import argparse
import os


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

import keras_zsharp

BATCH, PARTS = 60, 4


def train(epochs, batch_size, accumulated=None, parts=1):
    """The model trained one of the ways, and its test accuracy in percent."""
    keras.utils.set_random_seed(0)
    data = keras_zsharp.data.digits(label_noise=0.4)
    net = keras.Sequential(
        [
            keras.Input(data.input_shape),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(data.classes),
        ]
    )
    model = keras_zsharp.SharpnessAwareModel(net, keras_zsharp.SAM(rho=0.05), micro_batches=parts)
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9, gradient_accumulation_steps=accumulated),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    # In the order of the arrays, so that all see the same 60 examples in a step.
    images, labels = data.arrays["train"]
    model.fit(images, labels, batch_size, epochs, shuffle=False, verbose=0)
    accuracy = model.evaluate(*data.arrays["test"], verbose=0, return_dict=True)["accuracy"]
    return model, 100 * accuracy


def distance(model, other):
    """The largest difference between two weights."""
    pairs = zip(model.get_weights(), other.get_weights(), strict=True)
    return max(np.abs(a - b).max() for a, b in pairs)


def main(arguments=None):
    args = parse(arguments)
    print("Trains a CNN three times, by 60 examples a step: 20 seconds of a CPU core.", flush=True)
    ways = {
        "accumulated": {"batch_size": BATCH // PARTS, "accumulated": PARTS},
        "in parts": {"batch_size": BATCH, "parts": PARTS},
        "whole": {"batch_size": BATCH},
    }
    first = None
    for name, how in ways.items():
        model, accuracy = train(args.epochs, **how)
        first = first or model
        print(
            f"{name:11}  test accuracy {accuracy:.1f} %, "
            f"weights within {distance(model, first):.1e} of the first",
            flush=True,
        )


if __name__ == "__main__":
    main()

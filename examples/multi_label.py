"""Several labels for a picture, with and without SAM, where some labels are missing.

    KERAS_BACKEND=jax python examples/multi_label.py

Takes 1 minute of a CPU core on JAX, 3 on PyTorch. Each picture has three of the package's digits
side by side, and its ten labels say which digits are there. A training label that should be there
is missing with probability 0.4, as in collections that people have tagged; the test labels are
whole. Prints the mean average precision of the test pictures, without and with SAM: on JAX 95.1 and
99.0 %, means of three seeds. The radius is that of the README's program; no other was tried.
"""

import argparse
import os


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rho", type=float, default=0.2, help="radius of SAM")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_zsharp

DIGITS, MISSING = 3, 0.4


def rows(images, classes, count, missing, rng):
    """Pictures of 8 x 24 pixels, and for each ten labels in {0, 1}."""
    chosen = rng.integers(0, len(images), (count, DIGITS))
    pictures = np.concatenate(images[chosen].swapaxes(0, 1), axis=2)
    there = np.eye(10, dtype="float32")[classes[chosen]].max(axis=1)
    return pictures, there * (rng.random(there.shape) >= missing)


def score(train, test, args, rho):
    """Average precision in percent, a mean over the labels, with SAM of a radius or without."""
    keras.utils.set_random_seed(args.seed)
    model = keras_zsharp.models.small_cnn(train[0].shape[1:], 10)  # it ends in logits
    if rho:
        model = keras_zsharp.SharpnessAwareModel(model, keras_zsharp.SAM(rho=rho))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    precision = keras.metrics.AUC(
        curve="PR", multi_label=True, num_labels=10, from_logits=True, name="precision"
    )
    model.compile(keras.optimizers.AdamW(1e-3), loss, metrics=[precision])
    model.fit(*train, batch_size=64, epochs=args.epochs)
    return 100 * model.evaluate(*test, verbose=0, return_dict=True)["precision"]


def main(arguments=None):
    args = parse(arguments)
    print("Trains a CNN twice, without and with SAM: 1 to 3 minutes of a CPU core.", flush=True)
    rng = np.random.default_rng(args.seed)
    digits = keras_zsharp.data.digits(seed=args.seed).arrays
    train = rows(*digits["train"], 1200, MISSING, rng)
    test = rows(*digits["test"], 1000, 0, rng)
    radii = {"AdamW": 0, f"SAM(rho={args.rho})": args.rho}
    found = {name: score(train, test, args, rho) for name, rho in radii.items()}
    for name, percent in found.items():
        print(f"{name}: test average precision {percent:.1f} %")


if __name__ == "__main__":
    main()

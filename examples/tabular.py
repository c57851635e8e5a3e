"""A table of numbers and a small dense network, with and without SAM, with wrong labels.

    KERAS_BACKEND=jax python examples/tabular.py

Takes 40 seconds of a CPU core, on any backend. The table is scikit-learn's breast cancer: 569 rows
of 30 numbers, benign or malignant. A fifth of the training labels are wrong. Prints the test
accuracy, without and with SAM: on JAX 86.5 and 91.3 %, means of three seeds. A logistic regression
has 91.0 %: with SAM the network is no longer worse, and hardly better.
"""

import argparse
import os


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rho", type=float, default=0.2, help="radius of SAM")
    parser.add_argument("--noise", type=float, default=0.2, help="share of labels that are wrong")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

import keras_zsharp

TEST = 200


def tables(noise, seed):
    """Rows and labels to train by, and to test by. Columns have mean 0 and deviation 1."""
    rng = np.random.default_rng(seed)
    x, y = load_breast_cancer(return_X_y=True)
    order = rng.permutation(len(y))
    x, y = x[order].astype("float32"), y[order]
    x = (x - x[TEST:].mean(0)) / x[TEST:].std(0)
    wrong = rng.choice(len(y) - TEST, round(noise * (len(y) - TEST)), replace=False)
    labels = y[TEST:].copy()
    labels[wrong] = 1 - labels[wrong]
    return (x[TEST:], labels), (x[:TEST], y[:TEST])


def accuracy(train, test, args, rho):
    """Test accuracy in percent, with SAM of a radius or without."""
    keras.utils.set_random_seed(args.seed)
    model = keras.Sequential(
        [
            keras.Input(train[0].shape[1:]),
            layers.Dense(128, activation="relu"),
            layers.Dense(128, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    if rho:
        model = keras_zsharp.SharpnessAwareModel(model, keras_zsharp.SAM(rho=rho))
    model.compile(keras.optimizers.AdamW(1e-3), "binary_crossentropy", metrics=["accuracy"])
    model.fit(*train, batch_size=32, epochs=args.epochs, verbose=0)
    return 100 * model.evaluate(*test, verbose=0, return_dict=True)["accuracy"]


def main(arguments=None):
    args = parse(arguments)
    print("Trains a network twice, without and with SAM: 40 seconds of a CPU core.", flush=True)
    train, test = tables(args.noise, args.seed)
    linear = LogisticRegression().fit(*train)
    print(f"Logistic regression: test accuracy {100 * linear.score(*test):.1f} %")
    for name, rho in {"AdamW": 0, f"SAM(rho={args.rho})": args.rho}.items():
        print(f"{name}: test accuracy {accuracy(train, test, args, rho):.1f} %", flush=True)


if __name__ == "__main__":
    main()

"""Trains a small CNN on real digits with wrong labels, with and without sharpness-awareness.

    python examples/quickstart.py

Takes 3 minutes on 2 CPU cores, also on JAX and PyTorch (`KERAS_BACKEND=jax`). All methods train the
same network on digits, 40 % of whose labels are wrong. Prints a line a run, and at last a table.
"""

import argparse
import itertools
import os
import statistics
import time


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=2, help="runs of each method")
    options = parser.parse_args(arguments)
    if min(options.epochs, options.seeds) < 1:
        parser.error("--epochs and --seeds must be >= 1")
    return options


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from keras_zsharp import ASAM, SAM, FriendlySAM, SharpnessAwareModel, ZSharp, data, models

# The radii are those that suit this task; the rules' defaults are the papers' for CIFAR.
METHODS = {
    "AdamW": lambda: None,
    "SAM, rho=0.2": lambda: SAM(rho=0.2),
    "ASAM, rho=2": lambda: ASAM(rho=2.0),
    "Friendly-SAM, rho=0.2": lambda: FriendlySAM(rho=0.2),
    "ZSharp, rho=0.2": lambda: ZSharp(rho=0.2),
    "ZSharp per variable, rho=0.2": lambda: ZSharp(rho=0.2, norm="per_variable"),
}
HEAD = """| method | test accuracy (%) | train loss | sharpness | step (ms) |
| --- | ---: | ---: | ---: | ---: |"""
BATCH = 64


def train(rule, seed, epochs):
    """One run, with AdamW alone where `rule` is None: its results as a dict."""
    keras.utils.set_random_seed(seed)
    digits = data.digits(label_noise=0.4, seed=seed)
    images, labels = digits.arrays["train"]
    net = models.small_cnn(digits.input_shape, digits.classes)
    model = net if rule is None else SharpnessAwareModel(net, rule)
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, epochs * -(-len(labels) // BATCH))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(schedule), loss)
    times = []
    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: times.append(time.perf_counter())
    )
    history = model.fit(images, labels, BATCH, epochs, callbacks=[clock], verbose=0).history
    # One measure of sharpness for all: SAM's `L(w + e) - L(w)`, by an optimizer that stands still.
    probe = SharpnessAwareModel(net, SAM(rho=0.05))
    probe.compile(keras.optimizers.SGD(0.0), loss, metrics=["accuracy"])
    # Before the probe: its pass moves BatchNormalization's statistics.
    tested = probe.evaluate(*digits.arrays["test"], verbose=0, return_dict=True)
    return {
        "accuracy": 100 * tested["accuracy"],
        "loss": history["loss"][-1],
        "sharpness": probe.fit(images, labels, BATCH, verbose=0).history["sharpness"][0],
        "step": 1000 * statistics.median(b - a for a, b in itertools.pairwise(times)),
    }


def row(method, runs):
    """What the table says of a method, in Markdown."""
    mean = {key: statistics.mean(run[key] for run in runs) for key in runs[0]}
    spread = statistics.stdev(run["accuracy"] for run in runs) if len(runs) > 1 else 0.0
    return (
        f"| {method} | {mean['accuracy']:.1f} ± {spread:.1f} | {mean['loss']:.3f} "
        f"| {mean['sharpness']:.4f} | {mean['step']:.1f} |"
    )


def main(arguments=None):
    options = parse(arguments)
    print("Trains a CNN by each method, twice each: 3 minutes of 2 CPU cores.", flush=True)
    runs = {method: [] for method in METHODS}
    for seed, method in itertools.product(range(options.seeds), METHODS):
        runs[method].append(train(METHODS[method](), seed, options.epochs))
        print(f"{method}, seed {seed}: {runs[method][-1]['accuracy']:.1f} %", flush=True)
    print("Test accuracy: mean ± standard deviation over seeds.", HEAD, sep="\n")
    print(*itertools.starmap(row, runs.items()), sep="\n")


if __name__ == "__main__":
    main()

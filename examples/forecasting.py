"""Forecasts of a time series by attention, with and without SAM: ETTh1, as in SAMformer.

    KERAS_BACKEND=jax python examples/forecasting.py ETTh1.csv

The file, from https://github.com/zhouhaoyi/ETDataset, has 17,420 hours of load and oil temperature
of a transformer. Trains twice, one to three minutes each on two cores, on any backend. Prints the
mean squared error of the test hours of both, and draws a forecast into forecast.svg.

The network is that of SAMformer (Ilbert et al., ICML 2024): each window normalized by itself, one
attention over the channels, one dense layer. Its loss has sharp minima: plain Adam ends in one.
"""

import argparse
import os


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="the CSV, with a date in its first column")
    parser.add_argument("--rho", type=float, default=0.5, help="radius of SAM")
    parser.add_argument("--epochs", type=int, default=100, help="at most; stops early")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", default="forecast.svg")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import ops
from numpy.lib.stride_tricks import sliding_window_view

import keras_zsharp

LOOK_BACK, HORIZON, KEY = 512, 96, 16
TRAIN, VALIDATE, TEST = 8640, 2880, 2880
"""Hours, as published."""


def windows(file, horizon=HORIZON):
    """Inputs and targets to train, validate and test by: (windows, hours, channels)."""
    rows = np.genfromtxt(file, delimiter=",", skip_header=1, dtype="float32")[:, 1:]
    rows = (rows - rows[:TRAIN].mean(0)) / rows[:TRAIN].std(0)
    ends = np.cumsum([TRAIN, VALIDATE, TEST])
    starts = 0, TRAIN - LOOK_BACK, TRAIN + VALIDATE - LOOK_BACK
    for start, end in zip(starts, ends, strict=True):
        part = sliding_window_view(rows[start:end], LOOK_BACK + horizon, axis=0).swapaxes(1, 2)
        yield part[:, :LOOK_BACK], part[:, LOOK_BACK:]


def network(channels, horizon=HORIZON):
    inputs = keras.Input((LOOK_BACK, channels))
    mean = ops.mean(inputs, axis=1, keepdims=True)
    deviation = ops.sqrt(ops.var(inputs, axis=1, keepdims=True) + 1e-5)
    x = ops.transpose((inputs - mean) / deviation, (0, 2, 1))
    query, key, value = (keras.layers.Dense(size)(x) for size in (KEY, KEY, LOOK_BACK))
    x += keras.layers.Attention()([query / KEY**0.5, value, key])
    x = ops.transpose(keras.layers.Dense(horizon)(x), (0, 2, 1))
    return keras.Model(inputs, x * deviation + mean)


def trained(train, validation, args, rho):
    keras.utils.set_random_seed(args.seed)
    model = network(train[0].shape[-1], HORIZON)
    if rho:
        model = keras_zsharp.SharpnessAwareModel(model, keras_zsharp.SAM(rho=rho))
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    stop = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    how = {"validation_data": validation, "callbacks": [stop], "verbose": 2}
    model.fit(*train, batch_size=32, epochs=args.epochs, **how)
    return model


def main(arguments=None):
    args = parse(arguments)
    print("Trains twice, without and with SAM: one to three minutes each on two cores.", flush=True)
    train, validation, (x, y) = windows(args.file, HORIZON)
    figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
    axes.plot(range(-HORIZON, HORIZON), np.concatenate([x[0, -HORIZON:, -1], y[0, :, -1]]), "0.6")
    for name, rho in {"Adam": 0, f"SAM(rho={args.rho})": args.rho}.items():
        model = trained(train, validation, args, rho)
        error = model.evaluate(x, y, batch_size=256, verbose=0)
        error = error[0] if isinstance(error, list) else error
        axes.plot(range(HORIZON), model.predict(x[:1], verbose=0)[0, :, -1], label=name)
        print(f"{name}: test MSE {error:.3f}", flush=True)
    axes.set(xlabel="hours", ylabel="oil temperature, standardized")
    axes.legend()
    figure.savefig(args.picture)


if __name__ == "__main__":
    main()

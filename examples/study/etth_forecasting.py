"""Forecasts of two transformers' load and oil temperature: does flatness help attention?

    python -m examples.study.etth_forecasting FOLDER docs/results/etth_forecasting

FOLDER has ETTh1.csv and ETTh2.csv, from https://github.com/zhouhaoyi/ETDataset. The network is that
of SAMformer (Ilbert et al., ICML 2024), with its split, look-back, optimizer and batches. Radii are
chosen by the validation error of the first seed, and so are Adam's learning rate and decay.
"""

import functools

from examples.study import arguments

if __name__ == "__main__":
    arguments.of_data(__doc__)  # `--help` and typos end here, before the imports that take seconds

import keras

import keras_zsharp
from examples import forecasting
from examples.study import recipes
from keras_zsharp.comparing import Fit, Method


def averaging():
    return [keras_zsharp.callbacks.WeightAveraging(start=5)]


RADII = {"rho": (0.2, 0.5, 1.0)}
ALL = {
    "Adam": Method(None, {"learning_rate": (1e-3, 3e-4), "weight_decay": (None, 1e-3)}),
    "SAM": Method("sam", RADII),
    "ZSharp": Method("zsharp", RADII),
    "ZSharp, per variable": Method(
        keras_zsharp.ZSharp(norm="per_variable"), {"rho": (0.1, 0.2, 0.5)}
    ),
    "ASAM": Method("asam", {"rho": (1.0, 2.0, 5.0)}),
    "F-SAM": Method("friendly_sam", RADII),
    "LookSAM": Method("look_sam", RADII),
    "MSAM": Method("msam", {"rho": (0.5, 1.0, 3.0)}),
    "SAM, a quarter": Method("sam", RADII, ascent_fraction=0.25),
    "Adam, weight averaging": Method(callbacks=averaging),
}
MAIN = ("Adam", "SAM", "ZSharp", "SAM, a quarter")
"""What all settings have. ETTh1 at horizon 96 has the other methods, too."""


def stopping():
    return [keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)]


def build(channels, horizon, learning_rate=1e-3, weight_decay=None):
    model = forecasting.network(channels, horizon)
    optimizer = keras.optimizers.Adam(learning_rate, weight_decay=weight_decay)
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def main():
    args = arguments.of_data(__doc__)
    for name in ("ETTh1", "ETTh2"):
        for horizon in (96, 192, 336, 720):
            setting = f"{name}-{horizon}"
            if not setting.startswith(args.only):
                continue
            parts = list(forecasting.windows(args.data / f"{name}.csv", horizon))
            train = Fit(
                functools.partial(build, parts[0][0].shape[-1], horizon),
                *parts,
                callbacks=stopping,
                epochs=100,
                batch_size=32,
            )
            chosen = ALL if setting == "ETTh1-96" else {label: ALL[label] for label in MAIN}
            how = {"metric": "test_loss", "choose_by": "val_loss", "choosing_seeds": "first"}
            recipes.did(setting, train, chosen, args, seeds=range(args.seeds), **how)


if __name__ == "__main__":
    main()

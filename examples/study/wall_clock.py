"""What a second of training buys: methods of one to two passes, for two reports.

    python -m examples.study.wall_clock digits docs/results/digits_wall_clock
    python -m examples.study.wall_clock fashion docs/results/fashion_wall_clock --data-dir FOLDER

Digits: 30 epochs on 960 images, of which 40 % have wrong labels. Fashion-MNIST: 8 epochs on 4,000
images with 20 % wrong labels; FOLDER is that of `data.fashion_mnist`. Radii are chosen by the first
seed's accuracy on held-out training images with clean labels. AdamW has a second row with the
epochs that SAM's time buys it. The mean of weights has a learning rate that stays.
"""

import argparse
import pathlib


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("setting", choices=("digits", "fashion"))
    parser.add_argument("results", type=pathlib.Path, help="folder for the tables")
    parser.add_argument("--data-dir", help="folder of Fashion-MNIST")
    parser.add_argument("--runs", type=pathlib.Path, help="folder of the runs")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

import keras

import keras_zsharp
from keras_zsharp import data, models
from keras_zsharp.comparing import Fit, Method, compare

SETTINGS = {
    "digits": {
        "folder": "digits-40-wrong-labels",
        "epochs": 30,
        "learning_rate": 1e-3,
        "network": models.small_cnn,
        "radii": (0.2, 0.5, 1.0, 2.0),
        "of MSAM": (0.5, 1.0, 2.0),
        "of SAM-ON": (1.0, 2.0, 5.0),
        "seeds": range(5),
    },
    "fashion": {
        "folder": "fashion-mnist-20-wrong-labels",
        "epochs": 8,
        "learning_rate": 5e-3,
        "network": models.strided_cnn,
        "radii": (0.01, 0.02, 0.05),
        "of MSAM": (0.03, 0.1, 0.3),
        "of SAM-ON": (0.02, 0.05, 0.1),
        "seeds": range(4),
    },
}


def methods(setting):
    """All methods, by label."""
    radii = {"rho": setting["radii"]}
    return {
        "SAM": Method("sam", radii),
        "AdamW": None,
        "AdamW, twice the epochs": Method(epochs=2 * setting["epochs"]),
        "AdamW, weight averaging": Method(averaged=True),
        "SAM, ascent on a half": Method("sam", radii, ascent_fraction=0.5),
        "SAM, ascent on a quarter": Method("sam", radii, ascent_fraction=0.25),
        "SAM, ascent on an eighth": Method("sam", radii, ascent_fraction=0.125),
        "SAM, every second step": Method("sam", radii, perturb_every=2),
        "SAM, late": Method("sam", radii, perturb_from=0.7),
        "SAM-ON": Method("sam", {"rho": setting["of SAM-ON"]}, perturb_only="normalization"),
        "LookSAM": Method("look_sam", radii),
        "MSAM": Method("msam", {"rho": setting["of MSAM"]}),
        "RandomSAM": Method("random_sam", radii),
        "SANER": Method("saner", radii),
        "ZSharp": Method("zsharp", radii),
    }


def trainer(name, setting, data_dir):
    """The function that does one run: labels, order and weights follow from the seed."""

    def bundle(seed):
        options = {"batch_size": 64, "seed": seed, "validation": 0.2}
        if name == "digits":
            return data.digits(**options, label_noise=0.4, split_seed=0)
        fashion = {"train_size": 5000, "augment": None, "data_dir": data_dir}
        return data.fashion_mnist(**options, **fashion, label_noise=0.2)

    def train(rule, seed, folder=None, epochs=setting["epochs"], averaged=False, **options):
        parts = bundle(seed).arrays
        rate, steps = setting["learning_rate"], epochs * -(-len(parts["train"][0]) // 64)

        def build():
            model = setting["network"]()
            cosine = keras.optimizers.schedules.CosineDecay(rate, steps)
            optimizer = keras.optimizers.AdamW(rate if averaged else cosine, weight_decay=5e-5)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(optimizer, loss, metrics=["accuracy"])
            return model

        def averaging():
            mean = keras_zsharp.callbacks.WeightAveraging(0.5, parts["train"], batch_size=64)
            return [mean] if averaged else []

        fit = Fit(build, **parts, callbacks=averaging, test_each_epoch=True, batch_size=64)
        return fit(rule, seed, folder, epochs=epochs, **options)

    return train


def main():
    args = parse()
    setting = SETTINGS[args.setting]
    result = compare(
        trainer(args.setting, setting, args.data_dir),
        methods(setting),
        setting["seeds"],
        metric="test_accuracy",
        choose_by="val_accuracy",
        choosing_seeds="first",
        folder=args.runs or pathlib.Path("runs") / f"{args.setting}_wall_clock",
    )
    result.save(args.results / setting["folder"])
    print(result.table().to_string())


if __name__ == "__main__":
    main()

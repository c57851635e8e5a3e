"""CIFAR-10 with the labels that people gave it, 41 % of them wrong, and with clean labels.

    python -m examples.study.cifar10_human FOLDER docs/results/cifar10_human

FOLDER has 10,000 training images by class, the 10,000 test images, and the labels of CIFAR-10N (Wei
et al., ICLR 2022), as `data.cifar10` reads them. 9,000 images train. Another 1,000 choose the radii
by their clean labels, with the first seed. "small" is `small_resnet` without augmentation, which
learns wrong labels by heart. "papers" is a ResNet of the papers with flips and crops, which in
these epochs does not.
"""

from examples.study import arguments

if __name__ == "__main__":
    arguments.of_data(__doc__)  # `--help` and typos end here, before the imports that take seconds

import keras

import keras_zsharp
from examples.study import recipes
from keras_zsharp import data, models
from keras_zsharp.comparing import Fit, Method

NETWORKS = {
    "small": {"make": models.small_resnet, "augment": None, "learning_rate": 0.1},
    "papers": {
        "make": lambda shape, classes: models.cifar_resnet(8, shape, classes),
        "augment": "standard",
        "learning_rate": 0.1,
    },
}
LABELS = {"human": "worse", "clean": 0.0}
BATCH, EPOCHS = 128, 15


def methods(epochs):
    """All methods, by label."""
    radii = {"rho": (0.1, 0.2, 0.5)}
    return {
        "SGD": None,
        "SGD, twice the epochs": Method(epochs=2 * epochs),
        "SGD, weight averaging": Method(averaged=True),
        "SAM": Method("sam", radii),
        "SAM, a quarter": Method("sam", radii, ascent_fraction=0.25),
        "ZSharp": Method("zsharp", radii),
        "ZSharp of the paper's radius": Method(keras_zsharp.ZSharp(0.05, norm="per_variable")),
        "SAM of ZSharp's length": Method("sam", rho=0.05 * 8**0.5),
        "ASAM": Method("asam", {"rho": (0.5, 1.0, 2.0)}),
        "F-SAM": Method("friendly_sam", radii),
        "SANER": Method("saner", radii),
    }


def trainer(network, label_noise, data_dir, measured=lambda arrays: lambda model: {}):
    """The function that does one run: order and weights follow from the seed.

    Args:
        network: One of `NETWORKS`.
        label_noise, data_dir: As in `data.cifar10`.
        measured: From the arrays of the data to the `measures` of `Fit`.
    """
    options = {"data_dir": data_dir, "label_noise": label_noise, "validation": 0.1}

    def train(rule, seed, folder=None, epochs=EPOCHS, averaged=False, **of_step):
        bundle = data.cifar10(batch_size=BATCH, augment=network["augment"], seed=seed, **options)
        arrays = bundle.arrays
        parts = {name: arrays[name] for name in ("validation", "test")}
        parts["train"] = bundle.train if network["augment"] else arrays["train"]
        rate, steps = network["learning_rate"], epochs * -(-bundle.sizes["train"] // BATCH)

        def build():
            model = network["make"](bundle.input_shape, bundle.classes)
            cosine = keras.optimizers.schedules.CosineDecay(rate, steps)
            optimizer = keras.optimizers.SGD(rate / 4 if averaged else cosine, 0.9)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(optimizer, loss, metrics=["accuracy"])
            return model

        def averaging():
            mean = keras_zsharp.callbacks.WeightAveraging(0.5, arrays["train"], batch_size=BATCH)
            return [mean] if averaged else []

        of_fit = {"callbacks": averaging, "test_each_epoch": True, "batch_size": BATCH}
        fit = Fit(build, **parts, measures=measured(arrays), **of_fit)
        return fit(rule, seed, folder, epochs=epochs, **of_step)

    return train


def main():
    args = arguments.of_data(__doc__)
    for network, its in NETWORKS.items():
        for labels, label_noise in LABELS.items():
            setting = f"{network}-{labels}"
            if not setting.startswith(args.only):
                continue
            train, how = trainer(its, label_noise, args.data), {"metric": "test_accuracy"}
            how |= {"choose_by": "val_accuracy", "choosing_seeds": "first"}
            recipes.did(setting, train, methods(EPOCHS), args, seeds=range(args.seeds), **how)


if __name__ == "__main__":
    main()

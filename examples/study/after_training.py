"""What networks do after training: calibration, fewer bits, damaged images, and flatness.

    python -m examples.study.after_training FOLDER docs/results/after_training

FOLDER has the folders of `cifar10_human` and `etth_forecasting`, `cifar10` and `ett`. Each rule has
the radius that these studies chose. The measures of images are those of `trained`; forecasts have
the two of flatness alone.
"""

import functools

from examples.study import arguments

if __name__ == "__main__":
    arguments.of_data(__doc__)  # `--help` and typos end here, before the imports that take seconds

from examples import forecasting
from examples.study import cifar10_human, etth_forecasting, recipes, trained
from keras_zsharp import SAM, FriendlySAM, ZSharp
from keras_zsharp.comparing import Fit, Method

CIFAR10 = {
    "SGD": None,
    "SAM": Method(SAM(rho=0.1)),
    "SAM, a quarter": Method(SAM(rho=0.1), ascent_fraction=0.25),
    "ZSharp": Method(ZSharp(rho=0.1)),
}
ETTH = {
    "Adam": Method(None, learning_rate=3e-4),
    "SAM": Method(SAM(rho=0.5)),
    "F-SAM": Method(FriendlySAM(rho=0.5)),
    "ZSharp": Method(ZSharp(rho=0.5)),
}
EXAMPLES = 2000
"""Of the training data, on which flatness is measured: the first ones."""


def images(folder):
    """`train` of `compare` for the human labels of CIFAR-10."""

    def measured(arrays):
        return trained.Classifier(*arrays["test"], [each[:EXAMPLES] for each in arrays["train"]])

    return cifar10_human.trainer(
        cifar10_human.NETWORKS["small"], "worse", folder / "cifar10", measured
    )


def forecasts(folder):
    """`train` of `compare` for ETTh1, 96 hours ahead."""
    parts = list(forecasting.windows(folder / "ett" / "ETTh1.csv", 96))
    x, y = (each[:EXAMPLES] for each in parts[0])
    return Fit(
        functools.partial(etth_forecasting.build, x.shape[-1], 96),
        *parts,
        callbacks=etth_forecasting.stopping,
        measures=lambda model: trained.flat(model, x, y),
        epochs=100,
        batch_size=32,
    )


SETTINGS = {
    "cifar10-human": (images, CIFAR10, "test_accuracy"),
    "ETTh1-96": (forecasts, ETTH, "test_loss"),
}


def main():
    args = arguments.of_data(__doc__)
    for name, (trainer, methods, metric) in SETTINGS.items():
        if name.startswith(args.only):
            train, seeds = trainer(args.data), range(args.seeds)
            recipes.did(name, train, methods, args, seeds=seeds, metric=metric)


if __name__ == "__main__":
    main()

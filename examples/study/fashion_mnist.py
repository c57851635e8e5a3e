"""What the perturbation's direction, length, place and time do, on 5,000 images of Fashion-MNIST.

    python -m examples.study.fashion_mnist docs/results --data-dir FOLDER

FOLDER is that of `data.fashion_mnist`. 4,000 images train, with clean labels or with 20 % or 40 %
wrong ones; 1,000 others with clean labels choose the radii with the first seed; 10,000 test. A run
takes some 25 s of a core with the ResNet, 60 to 90 s with the vision transformer. docs/results has
three settings of the ResNet, and three rows of one of the vision transformer's.

The masks keep 5 % of the gradient; all but ZSharp per variable have the perturbation's length
`rho`. "Late" perturbs in the last 30 % of the steps. ZSharp per variable gives each of the 8 or 22
filtered variables `rho`: "SAM of ZSharp's length" is as long as ZSharp of the paper's radius.
"""

import functools

from examples.study import arguments

if __name__ == "__main__":
    arguments.of_study(__doc__)  # `--help` and typos end here, before the imports that take seconds

from examples.study import optimizers, recipes
from keras_zsharp import ZSharp, data, models
from keras_zsharp.comparing import Method

NETWORKS = {  # network, epochs, filtered variables, scale of the radii, AdamW
    "resnet": (models.small_resnet, 12, 8, 1.0, (5e-3, 5e-4)),
    "vit": (models.small_vit, 24, 22, 0.2, (3e-3, 0.05)),
}


def methods(filtered, scale):
    def radii(*values):
        return {"rho": tuple(float(f"{scale * value:g}") for value in values)}

    middle, per_variable = radii(0.05, 0.1, 0.2, 0.5, 1.0), ZSharp(norm="per_variable")
    on_normalization = {"perturb_only": "normalization"}
    return {
        "Optimizer alone": None,
        "Optimizer alone, twice the epochs": Method(longer=2),
        "SAM": Method("sam", middle),
        "SAM, late": Method("sam", middle, perturb_from=0.7),
        "SAM, normalization only": Method("sam", radii(0.2, 0.5, 1, 2, 5), **on_normalization),
        "SAM of ZSharp's length": Method("sam", rho=0.05 * filtered**0.5),
        "ZSharp of the paper's radius": Method(per_variable, rho=0.05),
        "ASAM": Method("asam", radii(0.5, 1, 2, 5, 10)),
        "F-SAM": Method("friendly_sam", middle),
        "ZSharp, per variable": Method(per_variable, radii(0.02, 0.05, 0.1, 0.2, 0.5)),
        "ZSharp, global": Method("zsharp", middle),
        "Magnitude mask": Method(ZSharp(score="magnitude"), middle),
        "Random mask": Method(ZSharp(score="random"), radii(0.1, 0.2, 0.5, 1, 2)),
    }


def recipe(network, noise, optimizer):
    build, epochs, _, _, (rate, decay) = NETWORKS[network]
    made = {
        "sgd": functools.partial(optimizers.sgd, learning_rate=0.1, weight_decay=5e-4),
        "adamw": functools.partial(optimizers.adamw, learning_rate=rate, weight_decay=decay),
    }
    options = {"batch_size": 64, "train_size": 5000, "validation": 0.2, "augment": None}
    bundle = functools.partial(data.fashion_mnist, label_noise=noise, **options)
    return recipes.Recipe(bundle, build, made[optimizer], epochs)


LABELS = {0.2: "20-wrong-labels", 0.0: "clean-labels", 0.4: "40-wrong-labels"}
CHOOSING = {"choose_by": "val_accuracy", "choosing_seeds": "first", "reference": "SAM"}
SETTINGS = {
    f"fashion_mnist_{network}/{optimizer}-{labels}": (
        recipe(network, noise, optimizer),
        methods(*NETWORKS[network][2:4]),
        {"seeds": range(5), **CHOOSING},
    )
    for network in NETWORKS
    for optimizer in ("sgd", "adamw")
    for noise, labels in LABELS.items()
}

if __name__ == "__main__":
    recipes.main(arguments.of_study(__doc__), SETTINGS)

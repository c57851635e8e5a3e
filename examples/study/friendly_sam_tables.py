"""Tables 1, 2 and 6 and Figures 2 to 4 of the Friendly-SAM paper (CVPR 2024).

    python -m examples.study.friendly_sam_tables docs/results --only fsam_tables_1_2/cifar10

Runs of 200 epochs, of PyramidNet-110 300; three seeds of each. **None has been run here.**

- `fsam_tables_1_2`: four networks on both CIFARs. Friendly-SAM's lambda is what the paper found the
  best for each network.
- `fsam_table_6`: ResNet-18, with 20 to 80 % of the labels drawn anew from all ten classes, as in
  the released code: nine in ten of them are wrong.
- `fsam_figure_2`: what of SAM's perturbation helps. SAM-full and SAM-noise compute the gradient of
  all images at every step, with one draw of the augmentation: some 200 times SAM's time.
- `fsam_radius` (Figure 3): each radius is a row. But for the paper's own they are our choice.
- `fsam_batch_sizes` (Figure 4): network and datasets are our choice.
"""

import functools

from examples.study import arguments

if __name__ == "__main__":
    arguments.of_study(__doc__)  # `--help` and typos end here, before the imports that take seconds

from examples.study import optimizers, recipes
from keras_zsharp import data, models
from keras_zsharp.comparing import Method

RADII = {"cifar10": 0.1, "cifar100": 0.2}
LAMBDAS = {"vgg16_bn": 0.6, "resnet18": 0.6, "wide_resnet_28_10": 0.9, "pyramidnet110": 0.9}
SGD = Method(weight_decay=5e-4)


def recipe(dataset, network="resnet18", batch_size=128, label_noise=0.0):
    options = {"batch_size": batch_size, "augment": "cutout_half"}
    noise = {"label_noise": label_noise, "noise_draw": "all"}
    bundle = functools.partial(data.load, dataset, **options, **noise)
    epochs = 300 if network == "pyramidnet110" else 200
    return recipes.Recipe(bundle, getattr(models, network), optimizers.sgd, epochs)


def main_methods(rho, lmbda=0.6):
    sam, friendly = Method("sam", rho=rho), Method("friendly_sam", rho=rho, lmbda=lmbda)
    return {"SGD": SGD, "SAM": sam, "F-SAM": friendly}


def of_tables(dataset, network):
    rho = RADII[dataset]
    more = {"ASAM": Method("asam", rho=20 * rho), "FisherSAM": Method("fisher_sam", rho=0.1)}
    return {**main_methods(rho, LAMBDAS[network]), **more}


def components(rho):
    of = {"SAM-full": "full", "SAM-db": "batch", "SAM-noise": "noise"}
    more = {label: Method("sam", rho=rho, component=component) for label, component in of.items()}
    return {"SGD": SGD, "SAM": Method("sam", rho=rho), **more}


EACH_RADIUS = {
    "SGD": SGD,
    **{
        f"{label}, rho={rho}": Method(rule, rho=rho, **options)
        for label, (rule, options) in {
            "SAM": ("sam", {}),
            "F-SAM": ("friendly_sam", {"lmbda": 0.6}),
        }.items()
        for rho in (0.05, 0.1, 0.2, 0.3, 0.4)
    },
}
OVER = {name: {"seeds": range(3), "reference": name} for name in ("SGD", "SAM", "F-SAM")}
SETTINGS = {
    **{
        f"fsam_tables_1_2/{dataset}-{network.replace('_', '-')}": (
            *(recipe(dataset, network), of_tables(dataset, network), OVER["F-SAM"]),
        )
        for dataset in RADII
        for network in LAMBDAS
    },
    **{
        f"fsam_table_6/{rate:.0%}-wrong-labels".replace("%", ""): (
            *(recipe("cifar10", label_noise=rate), main_methods(0.1), OVER["F-SAM"]),
        )
        for rate in (0.2, 0.6, 0.7, 0.8)
    },
    **{f"fsam_figure_2/{d}": (recipe(d), components(r), OVER["SAM"]) for d, r in RADII.items()},
    **{f"fsam_radius/{d}": (recipe(d), EACH_RADIUS, OVER["SGD"]) for d in RADII},
    **{
        f"fsam_batch_sizes/{d}-{n}": (recipe(d, batch_size=n), main_methods(r), OVER["F-SAM"])
        for d, r in RADII.items()
        for n in (128, 512, 2048)
    },
}

if __name__ == "__main__":
    recipes.main(arguments.of_study(__doc__), SETTINGS)

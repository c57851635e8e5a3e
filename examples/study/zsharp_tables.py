"""Tables 1 and 2 of the ZSharp paper (arXiv:2505.02369v6), and Table 1 by the released code.

    python -m examples.study.zsharp_tables docs/results --only zsharp_table1/cifar10-resnet56

Runs of 200 epochs, which the paper has done on an RTX 4090: 225 of `zsharp_table1`, 42 of
`zsharp_table2`, 75 of `zsharp_table1_code`. **None has been run here.**

- The paper gives all methods rho = 0.05, says nothing of Friendly-SAM's lambda and sigma, and no
  tuning. ZSharp's radius is per variable, as in the released code.
- The released code has another recipe than the paper: Adam with a weight decay that is part of the
  gradient, a warm-up, another schedule, ASAM with rho = 0.5, and SVHN for Tiny-ImageNet.
"""

import functools

from examples.study import arguments

if __name__ == "__main__":
    arguments.of_study(__doc__)  # `--help` and typos end here, before the imports that take seconds

from examples.study import optimizers, recipes
from keras_zsharp import ZSharp, data, models
from keras_zsharp.comparing import Method

NETWORKS = ("resnet56", "resnet110", "vgg16_bn", "vit_7_8_8_384", "vit_7_8_12_768")
PAPER, CODE = ("cifar10", "cifar100", "tiny_imagenet"), ("cifar10", "cifar100", "svhn")


def methods(alone, of_asam):
    return {
        alone: None,
        "SAM": Method("sam", rho=0.05),
        "ASAM": Method("asam", rho=of_asam),
        "Friendly-SAM": Method("friendly_sam", rho=0.05),
        "ZSharp": Method(ZSharp(norm="per_variable"), rho=0.05, q_p=0.95),
    }


PERCENTILES = {
    "AdamW": None,
    "SAM": Method("sam", rho=0.05),
    **{
        f"ZSharp, q_p={q_p}": Method(ZSharp(norm="per_variable"), rho=0.05, q_p=q_p)
        for q_p in (0.95, 0.9, 0.85, 0.8, 0.75)
    },
}


def settings(table, datasets, networks, optimizer, methods, **options):
    return {
        f"{table}/{name}-{network.replace('_', '-')}": (
            recipes.Recipe(
                functools.partial(data.load, name, batch_size=256),
                getattr(models, network),
                optimizer,
                epochs=200,
            ),
            *(methods, options),
        )
        for name in datasets
        for network in networks
    }


STEPS, WARMUP = optimizers.adamw_in_steps, optimizers.adam_with_warmup
OF_PERCENTILES = {"seeds": range(3), "reference": "ZSharp, q_p=0.95"}
SETTINGS = {
    **settings(
        *("zsharp_table1", PAPER, NETWORKS, STEPS, methods("AdamW", of_asam=0.05)),
        **{"seeds": range(3), "reference": "ZSharp"},
    ),
    **settings(*("zsharp_table2", PAPER[:1], NETWORKS[::3], STEPS, PERCENTILES), **OF_PERCENTILES),
    **settings(
        *("zsharp_table1_code", CODE, NETWORKS, WARMUP, methods("Adam", of_asam=0.5)),
        **{"seeds": range(1), "reference": "ZSharp"},
    ),
}

if __name__ == "__main__":
    recipes.main(arguments.of_study(__doc__), SETTINGS)

"""Recipes that several configs share."""

import dataclasses

from experiments.grid import Method, Recipe, Setting

# Epochs, batch size, optimizer, learning rate, weight decay, schedule; augmentation, wrong labels.
ZSHARP = Recipe(200, 256, "adamw", 1e-3, 5e-5, "steps")
FRIENDLY = Recipe(200, 128, "sgd", 0.05, 1e-3, "cosine", "cutout_half", noise_draw="all")
DIGITS = Recipe(30, 64, "adamw", 1e-3, 5e-5, "cosine", None, 0.4, validation=0.2, split_seed=0)
CLEAN = {"validation": 0.2, "clean_validation": True}
FASHION = Recipe(8, 64, "adamw", 5e-3, 5e-5, "cosine", None, 0.2, train_size=5000, **CLEAN)
"""Of the ZSharp paper, section 4; of the Friendly-SAM paper, section 6.1, with the smallest batch
size of section 6.3.3, and cutout and wrong labels of its released code; for digits; for 4,000
images of Fashion-MNIST, where another 1,000 choose the radii by clean labels."""

ZSHARP_CODE = dataclasses.replace(ZSHARP, optimizer="adam", schedule="warmup_steps")
"""What the released code does instead."""

DIGITS_SGD = dataclasses.replace(DIGITS, optimizer="sgd", learning_rate=0.05, weight_decay=1e-3)
"""With the optimizer of the Friendly-SAM paper."""

PLAIN_SGD = {"weight_decay": 5e-4}
"""What differs there without a perturbation."""

FASHION_OVERFIT = dataclasses.replace(FASHION, epochs=12, weight_decay=5e-4)
"""For networks that learn wrong labels."""

ZSHARP_NETWORKS = {
    "ResNet-56": "resnet56",
    "ResNet-110": "resnet110",
    "VGG-16/BN": "vgg16_bn",
    "ViT-7/8/8-384": "vit_7_8_8_384",
    "ViT-7/8/12-768": "vit_7_8_12_768",
}
"""Of the ZSharp paper's Table 1, as builders of `keras_zsharp.models`."""

DIGITS_SEEDS = (0, 1, 2, 3, 4)
RADII = {"rho": (0.1, 0.2, 0.5, 1.0)}
LARGER_RADII = {"rho": (0.2, 0.5, 1.0)}
ADAPTIVE_RADII = {"rho": (1.0, 2.0, 5.0, 10.0)}

ASCENTS = {"SAM": None, "SAM-full": "full", "SAM-db": "batch", "SAM-noise": "noise"}
"""SAM and its variants of the Friendly-SAM paper's Figure 2, with `Method.ascent`."""


def wall_clock_methods(epochs, late_from, radii, momentum_radii, normalization_radii):
    """AdamW, also with the epochs that SAM's time buys it, and methods of one to two passes.

    The late ones perturb from the step `late_from` on. MSAM, whose perturbation has another length,
    and SAM-ON, which perturbs normalization layers alone, choose from radii of their own.
    """
    radii, late = {"rho": radii}, {"perturb_from": late_from}
    alone = {"perturb_only": "normalization"}
    return (
        Method("AdamW"),
        Method("AdamW, twice the epochs", recipe={"epochs": 2 * epochs}),
        Method("SAM", "SAM", choose=radii),
        Method("SAM, late", "SAM", choose=radii, step=late),
        Method("SAM, every second step", "SAM", choose=radii, step={"perturb_every": 2}),
        Method("LookSAM", "LookSAM", choose=radii),
        Method("MSAM", "MSAM", choose={"rho": momentum_radii}),
        Method("SAM-ON", "SAM", choose={"rho": normalization_radii}, step=alone),
        Method("ZSharp", "ZSharp", choose=radii),
        Method("ZSharp, late", "ZSharp", choose=radii, step=late),
    )


def fashion_methods(epochs, late_from, zsharp_length, scale=1.0):
    """What the perturbation's direction, length, place and time do, for Fashion-MNIST.

    `zsharp_length` is that of the released code's perturbation at the paper's radius; `scale`
    multiplies the radii to choose from.
    """

    def radii(*values):
        return {"rho": tuple(float(f"{scale * value:g}") for value in values)}

    middle = radii(0.05, 0.1, 0.2, 0.5, 1.0)
    alone = {"perturb_only": "normalization"}
    per_variable, random = {"norm": "per_variable"}, {"score": "random", "norm": "global"}
    magnitude = {"score": "magnitude", "norm": "global"}
    return (
        Method("Optimizer alone"),
        Method("Optimizer alone, twice the epochs", recipe={"epochs": 2 * epochs}),
        Method("SAM", "SAM", choose=middle),
        Method("SAM, late", "SAM", choose=middle, step={"perturb_from": late_from}),
        Method("SAM, normalization only", "SAM", choose=radii(0.2, 0.5, 1.0, 2.0, 5.0), step=alone),
        Method("SAM of ZSharp's length", "SAM", {"rho": zsharp_length}),
        Method("ZSharp of the paper's radius", "ZSharp", {"rho": 0.05, **per_variable}),
        Method("ASAM", "ASAM", choose=radii(0.5, 1.0, 2.0, 5.0, 10.0)),
        Method("F-SAM", "FriendlySAM", choose=middle),
        Method("ZSharp, per variable", "ZSharp", per_variable, radii(0.02, 0.05, 0.1, 0.2, 0.5)),
        Method("ZSharp, global", "ZSharp", {"norm": "global"}, middle),
        Method("Magnitude mask", "ZSharp", magnitude, middle),
        Method("Random mask", "ZSharp", random, radii(0.1, 0.2, 0.5, 1.0, 2.0)),
    )


FASHION_COMPARISONS = (
    ("ZSharp of the paper's radius", "SAM of ZSharp's length"),
    ("ZSharp, global", "Magnitude mask"),
    ("ZSharp, global", "Random mask"),
)
"""Beside those with SAM: methods that differ in one thing alone."""


def fashion_settings(network, optimizers):
    """Clean labels, 20 % and 40 % wrong ones, for a network with each of some optimizers."""
    return tuple(
        Setting(
            f"{name}, {f'{noise:.0%} wrong labels' if noise else 'clean labels'}",
            "fashion_mnist",
            network,
            {**recipe, "label_noise": noise},
        )
        for name, recipe in optimizers.items()
        for noise in (0.2, 0.0, 0.4)
    )

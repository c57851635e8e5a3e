"""Table 2 of the ZSharp paper (arXiv:2505.02369v6): the percentile, on CIFAR-10.

    python examples/reproduce.py zsharp_table2

42 runs of 200 epochs. The paper's hardware: one RTX 4090. Duration here: unknown. Result: not run.

ZSharp's radius is per variable, as in the authors' released code. The accuracy of AdamW on the ViT
is that of the paper's Table 1.
"""

from experiments.grid import Grid, Method, Setting
from experiments.recipes import ZSHARP

PERCENTILES = (0.95, 0.9, 0.85, 0.8, 0.75)
FIGURES = {  # of AdamW, SAM and the percentiles
    "ResNet-56": (
        (91.08, 0.45),
        (91.60, 0.21),
        (92.64, 0.32),
        (92.12, 0.15),
        (91.89, 0.23),
        (91.53, 0.27),
        (91.32, 0.17),
    ),
    "ViT-7/8/8-384": (
        (83.98, 0.28),
        (84.32, 0.32),
        (85.43, 0.29),
        (84.82, 0.31),
        (84.24, 0.43),
        (84.21, 0.38),
        (83.78, 0.27),
    ),
}


def zsharp(q_p):
    settings = {"rho": 0.05, "q_p": q_p, "norm": "per_variable"}
    return Method(f"ZSharp, q_p={q_p}", "ZSharp", settings, line="ZSharp")


METHODS = (Method("AdamW"), Method("SAM", "SAM", {"rho": 0.05}), *map(zsharp, PERCENTILES))

GRID = Grid(
    title="ZSharp, Table 2",
    recipe=ZSHARP,
    settings=(
        Setting("ResNet-56", "cifar10", "resnet56"),
        Setting("ViT-7/8/8-384", "cifar10", "vit_7_8_8_384"),
    ),
    methods=METHODS,
    reference="ZSharp, q_p=0.95",
    paper={
        (network, method.label): figure
        for network, figures in FIGURES.items()
        for method, figure in zip(METHODS, figures, strict=True)
    },
    axis="q_p",
)

"""Table 1 of the ZSharp paper (arXiv:2505.02369v6): five networks on three datasets.

    python examples/reproduce.py zsharp_table1

225 runs of 200 epochs. The paper's hardware: one RTX 4090. Duration here: unknown. Result: not run.

ZSharp's radius is per variable, as in the authors' released code. The paper gives all methods
rho = 0.05, says nothing of Friendly-SAM's lambda and sigma (here 0.9 and 1), and no tuning.
"""

from experiments.grid import Grid, Method, Setting
from experiments.recipes import ZSHARP, ZSHARP_NETWORKS

DATASETS = {"CIFAR-10": "cifar10", "CIFAR-100": "cifar100", "Tiny-ImageNet": "tiny_imagenet"}
FIGURES = {  # of CIFAR-10, CIFAR-100 and Tiny-ImageNet
    "ResNet-56": {
        "AdamW": ((91.08, 0.45), (64.20, 0.31), (47.47, 0.31)),
        "SAM": ((91.60, 0.21), (65.27, 0.25), (49.38, 0.26)),
        "ASAM": ((92.28, 0.34), (66.46, 0.17), (50.72, 0.12)),
        "Friendly-SAM": ((91.79, 0.25), (65.49, 0.24), (49.48, 0.23)),
        "ZSharp": ((92.64, 0.32), (66.79, 0.15), (50.73, 0.14)),
    },
    "ResNet-110": {
        "AdamW": ((91.40, 0.31), (66.50, 0.25), (48.78, 0.45)),
        "SAM": ((92.33, 0.25), (68.15, 0.19), (50.05, 0.45)),
        "ASAM": ((92.61, 0.23), (67.96, 0.36), (51.05, 0.45)),
        "Friendly-SAM": ((91.93, 0.13), (67.62, 0.21), (50.27, 0.45)),
        "ZSharp": ((92.93, 0.17), (68.44, 0.23), (52.07, 0.45)),
    },
    "VGG-16/BN": {
        "AdamW": ((92.47, 0.13), (69.99, 1.02), (55.07, 0.93)),
        "SAM": ((93.37, 0.18), (70.92, 0.93), (55.87, 1.03)),
        "ASAM": ((93.55, 0.12), (71.70, 1.21), (56.47, 1.91)),
        "Friendly-SAM": ((92.90, 0.17), (70.99, 0.83), (55.44, 2.04)),
        "ZSharp": ((93.27, 0.20), (72.07, 0.71), (56.73, 2.31)),
    },
    "ViT-7/8/8-384": {
        "AdamW": ((83.98, 0.28), (54.79, 0.11), (28.43, 0.12)),
        "SAM": ((84.32, 0.32), (55.57, 0.13), (28.97, 0.09)),
        "ASAM": ((83.02, 0.34), (55.66, 0.31), (25.22, 0.32)),
        "Friendly-SAM": ((84.76, 0.44), (56.08, 0.23), (30.00, 0.12)),
        "ZSharp": ((85.43, 0.29), (57.48, 0.51), (30.57, 0.21)),
    },
    "ViT-7/8/12-768": {
        "AdamW": ((84.38, 0.21), (56.15, 0.13), (29.91, 0.10)),
        "SAM": ((84.86, 0.18), (56.91, 0.14), (30.14, 0.15)),
        "ASAM": ((83.95, 0.20), (56.49, 0.27), (30.23, 0.08)),
        "Friendly-SAM": ((85.25, 0.21), (56.55, 0.21), (30.34, 0.13)),
        "ZSharp": ((85.86, 0.23), (57.77, 0.31), (31.04, 0.19)),
    },
}

GRID = Grid(
    title="ZSharp, Table 1",
    recipe=ZSHARP,
    settings=tuple(
        Setting(f"{data}, {network}", DATASETS[data], ZSHARP_NETWORKS[network])
        for data in DATASETS
        for network in ZSHARP_NETWORKS
    ),
    methods=(
        Method("AdamW"),
        Method("SAM", "SAM", {"rho": 0.05}),
        Method("ASAM", "ASAM", {"rho": 0.05}),
        Method("Friendly-SAM", "FriendlySAM", {"rho": 0.05}),
        Method("ZSharp", "ZSharp", {"rho": 0.05, "q_p": 0.95, "norm": "per_variable"}),
    ),
    reference="ZSharp",
    paper={
        (f"{data}, {network}", method): figure
        for network, by_method in FIGURES.items()
        for method, figures in by_method.items()
        for data, figure in zip(DATASETS, figures, strict=True)
    },
)

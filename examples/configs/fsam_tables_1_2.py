"""Tables 1 and 2 of the Friendly-SAM paper (CVPR 2024): four networks on CIFAR-10 and CIFAR-100.

    python examples/reproduce.py fsam_tables_1_2

120 runs of 200 epochs, of PyramidNet-110 300. Hardware and duration: unknown. Result: not run.

SGD with weight decay 5e-4, with a perturbation 1e-3. SAM's and Friendly-SAM's rho is 0.1 on
CIFAR-10 and 0.2 on CIFAR-100, ASAM's 2 and 4, FisherSAM's 0.1. Friendly-SAM's lambda is what the
paper found the best for each network: 0.9 for WRN-28-10 and PyramidNet-110, 0.6 for the others;
sigma is 1.
"""

from experiments.grid import Grid, Method, Setting
from experiments.recipes import FRIENDLY, PLAIN_SGD

RADII = {"cifar10": {"SAM": 0.1, "ASAM": 2.0}, "cifar100": {"SAM": 0.2, "ASAM": 4.0}}
DATASETS = {"CIFAR-10": "cifar10", "CIFAR-100": "cifar100"}
NETWORKS = {  # with Friendly-SAM's lambda
    "VGG16-BN": ("vgg16_bn", 0.6),
    "ResNet-18": ("resnet18", 0.6),
    "WRN-28-10": ("wide_resnet_28_10", 0.9),
    "PyramidNet-110": ("pyramidnet110", 0.9),
}
METHODS = (
    Method("SGD", recipe=PLAIN_SGD),
    Method("ASAM", "ASAM"),
    Method("FisherSAM", "FisherSAM", {"rho": 0.1}),
    Method("SAM", "SAM"),
    Method("F-SAM", "FriendlySAM", {"sigma": 1.0}),
)
FIGURES = {  # in the order of the methods
    "CIFAR-10": {
        "VGG16-BN": ((94.96, 0.15), (95.57, 0.05), (95.55, 0.08), (95.42, 0.05), (95.62, 0.11)),
        "ResNet-18": ((96.25, 0.06), (96.63, 0.15), (96.72, 0.03), (96.58, 0.10), (96.75, 0.09)),
        "WRN-28-10": ((97.08, 0.16), (97.64, 0.13), (97.46, 0.18), (97.32, 0.11), (97.53, 0.11)),
        "PyramidNet-110": (
            (97.63, 0.09),
            (97.82, 0.07),
            (97.64, 0.09),
            (97.70, 0.10),
            (97.84, 0.05),
        ),
    },
    "CIFAR-100": {
        "VGG16-BN": ((75.43, 0.19), (76.27, 0.35), (76.90, 0.37), (76.63, 0.20), (77.08, 0.17)),
        "ResNet-18": ((77.90, 0.07), (81.68, 0.12), (80.99, 0.13), (80.88, 0.10), (81.29, 0.12)),
        "WRN-28-10": ((81.71, 0.13), (84.99, 0.22), (84.91, 0.07), (84.88, 0.10), (85.16, 0.07)),
        "PyramidNet-110": (
            (84.65, 0.11),
            (86.47, 0.09),
            (86.53, 0.07),
            (86.55, 0.08),
            (86.70, 0.14),
        ),
    },
}


def setting(data, name):
    network, lmbda = NETWORKS[name]
    radii = RADII[DATASETS[data]]
    rules = {
        "SAM": {"rho": radii["SAM"]},
        "ASAM": {"rho": radii["ASAM"]},
        "F-SAM": {"rho": radii["SAM"], "lmbda": lmbda},
    }
    recipe = {"epochs": 300} if network == "pyramidnet110" else {}
    return Setting(f"{data}, {name}", DATASETS[data], network, recipe, rules)


GRID = Grid(
    title="Friendly-SAM, Tables 1 and 2",
    recipe=FRIENDLY,
    settings=tuple(setting(data, network) for data in DATASETS for network in NETWORKS),
    methods=METHODS,
    reference="F-SAM",
    paper={
        (f"{data}, {network}", method.label): figure
        for data, by_network in FIGURES.items()
        for network, figures in by_network.items()
        for method, figure in zip(METHODS, figures, strict=True)
    },
)

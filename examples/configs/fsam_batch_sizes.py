"""Figure 4 of the Friendly-SAM paper (CVPR 2024): batches of 128, 512 and 2,048.

    python examples/reproduce.py fsam_batch_sizes

54 runs of 200 epochs. Hardware and duration: unknown. Result: not run.

All else is as for ResNet-18 in the paper's Tables 1 and 2, the network and both datasets being our
choice: the paper shows curves without numbers.
"""

from experiments.grid import Grid, Method, Setting
from experiments.recipes import FRIENDLY, PLAIN_SGD

RADII = {"CIFAR-10": 0.1, "CIFAR-100": 0.2}


def setting(data, size):
    rho = {"rho": RADII[data]}
    return Setting(
        f"{data}, batches of {size}",
        data.lower().replace("-", ""),
        "resnet18",
        {"batch_size": size},
        {"SAM": rho, "F-SAM": rho},
    )


GRID = Grid(
    title="Friendly-SAM, Figure 4",
    recipe=FRIENDLY,
    settings=tuple(setting(data, size) for data in RADII for size in (128, 512, 2048)),
    methods=(
        Method("SGD", recipe=PLAIN_SGD),
        Method("SAM", "SAM"),
        Method("F-SAM", "FriendlySAM", {"lmbda": 0.6}),
    ),
    reference="F-SAM",
    axis="batch_size",
)

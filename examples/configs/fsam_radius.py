"""Figure 3 of the Friendly-SAM paper (CVPR 2024): the radius, ResNet-18 on both CIFARs.

    python examples/reproduce.py fsam_radius

66 runs of 200 epochs. Hardware and duration: unknown. Result: not run.

Every radius is a row; none is chosen. The paper shows curves without numbers, but for those at its
own radii (Tables 1 and 2) and at twice that of CIFAR-100; the other radii are our choice.
"""

from experiments.grid import Grid, Method, Setting
from experiments.recipes import FRIENDLY, PLAIN_SGD

RADII = (0.05, 0.1, 0.2, 0.3, 0.4)

GRID = Grid(
    title="Friendly-SAM, Figure 3",
    recipe=FRIENDLY,
    settings=(
        Setting("CIFAR-10", "cifar10", "resnet18"),
        Setting("CIFAR-100", "cifar100", "resnet18"),
    ),
    methods=(
        Method("SGD", recipe=PLAIN_SGD),
        *(Method(f"SAM, rho={rho}", "SAM", {"rho": rho}, line="SAM") for rho in RADII),
        *(
            Method(f"F-SAM, rho={rho}", "FriendlySAM", {"rho": rho, "lmbda": 0.6}, line="F-SAM")
            for rho in RADII
        ),
    ),
    reference="SGD",
    paper={
        ("CIFAR-10", "SGD"): (96.25, 0.06),
        ("CIFAR-10", "SAM, rho=0.1"): (96.58, 0.10),
        ("CIFAR-10", "F-SAM, rho=0.1"): (96.75, 0.09),
        ("CIFAR-100", "SGD"): (77.90, 0.07),
        ("CIFAR-100", "SAM, rho=0.2"): (80.88, 0.10),
        ("CIFAR-100", "F-SAM, rho=0.2"): (81.29, 0.12),
        ("CIFAR-100", "SAM, rho=0.4"): (78.83, None),
        ("CIFAR-100", "F-SAM, rho=0.4"): (80.30, None),
    },
    axis="rho",
)

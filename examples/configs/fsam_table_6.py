"""Table 6 of the Friendly-SAM paper (CVPR 2024): wrong labels, ResNet-18 on CIFAR-10.

    python examples/reproduce.py fsam_table_6

36 runs of 200 epochs. Hardware and duration: unknown. Result: not run.

Recipe, rho and lambda as for ResNet-18 in the paper's Table 1; 20 to 80 % of the training labels
are drawn anew from all ten classes, as in the released code: nine in ten of them are wrong.
"""

from experiments.grid import Grid, Method, Setting
from experiments.recipes import FRIENDLY, PLAIN_SGD

RATES = (0.2, 0.6, 0.7, 0.8)
FIGURES = {  # in the order of the rates
    "SGD": ((87.05, 0.06), (52.21, 0.23), (39.31, 0.13), (27.86, 0.53)),
    "SAM": ((95.27, 0.09), (90.08, 0.09), (84.89, 0.10), (31.73, 3.37)),
    "F-SAM": ((95.42, 0.08), (90.47, 0.05), (86.48, 0.07), (59.39, 1.77)),
}

GRID = Grid(
    title="Friendly-SAM, Table 6",
    recipe=FRIENDLY,
    settings=tuple(
        Setting(f"{rate:.0%} wrong labels", "cifar10", "resnet18", {"label_noise": rate})
        for rate in RATES
    ),
    methods=(
        Method("SGD", recipe=PLAIN_SGD),
        Method("SAM", "SAM", {"rho": 0.1}),
        Method("F-SAM", "FriendlySAM", {"rho": 0.1, "lmbda": 0.6}),
    ),
    reference="F-SAM",
    paper={
        (f"{rate:.0%} wrong labels", method): figure
        for method, figures in FIGURES.items()
        for rate, figure in zip(RATES, figures, strict=True)
    },
    axis="label_noise",
)

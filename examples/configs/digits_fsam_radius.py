"""The radii of the Friendly-SAM paper's Figure 3, for digits with 40 % wrong labels.

    python examples/reproduce.py digits_fsam_radius

55 runs of 30 epochs. Hardware: 2 CPU cores. Duration: some 30 s of CPU a run.
Result: docs/results/digits_fsam_radius. Up to 0.5 SAM and F-SAM end within 1.4 points of
each other; beyond, F-SAM loses far less.

Every radius is a row; none is chosen, and nothing held out.
"""

import dataclasses

from experiments.grid import Grid, Method, Setting
from experiments.recipes import DIGITS_SEEDS, DIGITS_SGD, PLAIN_SGD

RULES = {"SAM": "SAM", "F-SAM": "FriendlySAM"}
RADII = (0.1, 0.2, 0.5, 1.0, 2.0)

GRID = Grid(
    title="Digits: the radii of Friendly-SAM's Figure 3",
    recipe=dataclasses.replace(DIGITS_SGD, validation=None),
    settings=(Setting("Digits, 40% wrong labels", "digits", "small_cnn"),),
    methods=(
        Method("SGD", recipe=PLAIN_SGD),
        *(
            Method(f"{label}, rho={rho}", rule, {"rho": rho}, line=label)
            for label, rule in RULES.items()
            for rho in RADII
        ),
    ),
    reference="SGD",
    seeds=DIGITS_SEEDS,
    axis="rho",
)

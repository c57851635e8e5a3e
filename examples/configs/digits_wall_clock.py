"""What a second of training buys: digits with 40 % wrong labels, methods of one to two passes.

    python examples/reproduce.py digits_wall_clock

170 runs of 30 epochs. Hardware: 2 CPU cores, one run at a time, for
the seconds to be comparable. Duration: some 15 s a run.
Result: none yet.

AdamW has a second row with the epochs that SAM's time buys it. "Late" perturbs in the last 30 % of
the steps, of which there are 450. The radii are chosen by the accuracy on 240 held-out training
images with clean labels; the same 597 clean images test every run.
"""

import dataclasses

from experiments.grid import Grid, Method, Setting
from experiments.recipes import DIGITS, DIGITS_SEEDS, RADII

LATE = {"perturb_from": 315}

GRID = Grid(
    title="Digits: accuracy and time",
    recipe=dataclasses.replace(DIGITS, clean_validation=True),
    settings=(Setting("Digits, 40% wrong labels", "digits", "small_cnn"),),
    methods=(
        Method("AdamW"),
        Method("AdamW, twice the epochs", recipe={"epochs": 60}),
        Method("SAM", "SAM", choose=RADII),
        Method("SAM, late", "SAM", choose=RADII, step=LATE),
        Method("SAM, every second step", "SAM", choose=RADII, step={"perturb_every": 2}),
        Method("LookSAM", "LookSAM", choose=RADII),
        Method("MSAM", "MSAM", choose={"rho": (0.3, 1.0, 3.0, 10.0)}),
        Method(
            "SAM-ON",
            "SAM",
            choose={"rho": (0.2, 0.5, 1.0, 2.0)},
            step={"perturb_only": "normalization"},
        ),
        Method("ZSharp", "ZSharp", choose=RADII),
        Method("ZSharp, late", "ZSharp", choose=RADII, step=LATE),
    ),
    reference="SAM",
    seeds=DIGITS_SEEDS,
    timed=True,
)

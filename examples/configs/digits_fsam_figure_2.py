"""What of SAM's perturbation helps, as in the Friendly-SAM paper's Figure 2, on digits.

    python examples/reproduce.py digits_fsam_figure_2

65 runs of 30 epochs. Hardware: 2 CPU cores. Duration: unknown. Result: not run.

Along the full gradient, along the rest of the batch's, and along another batch's. Batches of 128,
not 64, since the full gradient is computed at every step.

The same 597 clean images test every run. Each method's radius is chosen by the accuracy on 240
held-out training images, whose labels are as noisy as the others.
"""

import dataclasses

from experiments.grid import Grid, Method, Setting
from experiments.recipes import ASCENTS, DIGITS_SEEDS, DIGITS_SGD, LARGER_RADII, PLAIN_SGD

GRID = Grid(
    title="Digits: what of SAM's perturbation helps, as in Friendly-SAM's Figure 2",
    recipe=dataclasses.replace(DIGITS_SGD, batch_size=128),
    settings=(Setting("Digits, 40% wrong labels", "digits", "small_cnn"),),
    methods=(
        Method("SGD", recipe=PLAIN_SGD),
        *(
            Method(label, "SAM", choose=LARGER_RADII, ascent=ascent)
            for label, ascent in ASCENTS.items()
        ),
    ),
    reference="SAM",
    seeds=DIGITS_SEEDS,
)

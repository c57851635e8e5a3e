"""The methods of the ZSharp paper's Table 1, and two more, on digits with 40 % wrong labels.

    python examples/reproduce.py digits_zsharp_table1

145 runs of 30 epochs, of which the choice of radii leaves 82 to be done. Hardware: 2 CPU cores.
Duration: some 30 s of CPU a run.
Result: docs/results/digits_zsharp_table1. AdamW alone learns wrong labels by heart, and ends at
79.1 %; every method at its chosen radius ends between 95.7 and 97.6 %. The choice is too coarse to
rank them: one label decides between ZSharp's 0.2 and 0.5.

The same 597 clean images test every run. Each method's radius is chosen by the accuracy on 240
held-out training images with two seeds, whose labels are as noisy as the others.
"""

from experiments.grid import Grid, Method, Setting
from experiments.recipes import ADAPTIVE_RADII, DIGITS, DIGITS_SEEDS, RADII

GRID = Grid(
    title="Digits: the methods of ZSharp's Table 1",
    recipe=DIGITS,
    settings=(Setting("Digits, 40% wrong labels", "digits", "small_cnn"),),
    methods=(
        Method("AdamW"),
        Method("SAM", "SAM", choose=RADII),
        Method("ASAM", "ASAM", choose=ADAPTIVE_RADII),
        Method("Friendly-SAM", "FriendlySAM", choose=RADII),
        Method("Fisher SAM", "FisherSAM", choose=RADII),
        Method("GSAM", "GSAM", choose=RADII),
        Method("ZSharp", "ZSharp", {"norm": "per_variable"}, choose=RADII),
        Method("ZSharp, norm=global", "ZSharp", {"norm": "global"}, choose=RADII),
    ),
    reference="ZSharp",
    seeds=DIGITS_SEEDS,
    choosing_seeds=DIGITS_SEEDS[:2],
)

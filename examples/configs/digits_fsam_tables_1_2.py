"""The methods of the Friendly-SAM paper's Tables 1 and 2 on digits with 40 % wrong labels.

    python examples/reproduce.py digits_fsam_tables_1_2

145 runs of 30 epochs, of which the choice of radii leaves 82 to be done. Hardware: 2 CPU cores.
Duration: some 30 s of CPU a run.
Result: docs/results/digits_fsam_tables_1_2. SGD alone learns wrong labels by heart. At their chosen
radii GSAM is 3.05 points below F-SAM (95 % interval 1.86 to 4.24); of the others no difference is
shown. ASAM varies most by seed.

With F-ASAM of its Table 3, GSAM and ZSharp.

The same 597 clean images test every run. Each method's radius is chosen by the accuracy on 240
held-out training images with two seeds, whose labels are as noisy as the others.
"""

from experiments.grid import Grid, Method, Setting
from experiments.recipes import ADAPTIVE_RADII, DIGITS_SEEDS, DIGITS_SGD, PLAIN_SGD, RADII

GRID = Grid(
    title="Digits: the methods of Friendly-SAM's Tables 1 to 3",
    recipe=DIGITS_SGD,
    settings=(Setting("Digits, 40% wrong labels", "digits", "small_cnn"),),
    methods=(
        Method("SGD", recipe=PLAIN_SGD),
        Method("ASAM", "ASAM", choose=ADAPTIVE_RADII),
        Method("FisherSAM", "FisherSAM", choose=RADII),
        Method("SAM", "SAM", choose=RADII),
        Method("F-SAM", "FriendlySAM", choose=RADII),
        Method("F-ASAM", "AdaptiveFriendlySAM", choose=ADAPTIVE_RADII),
        Method("GSAM", "GSAM", {"alpha": 0.4}, choose=RADII),
        Method("ZSharp", "ZSharp", {"norm": "per_variable"}, choose=RADII),
    ),
    reference="F-SAM",
    seeds=DIGITS_SEEDS,
    choosing_seeds=DIGITS_SEEDS[:2],
)

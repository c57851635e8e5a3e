"""The rates of wrong labels of the Friendly-SAM paper's Table 6 on digits.

    python examples/reproduce.py digits_fsam_table_6

180 runs of 30 epochs. Hardware: 2 CPU cores. Duration: some 30 s of CPU a run.
Result: docs/results/digits_fsam_table_6. F-SAM ends 2 points above SAM at 60 % wrong labels; at
20 and 40 % no difference is shown. At 80 % held-out labels chose a poor radius for SAM.

The same 597 clean images test every run. Each method's radius is chosen by the accuracy on 240
held-out training images, whose labels are as noisy as the others.
"""

from experiments.grid import Grid, Setting
from experiments.recipes import DIGITS_SEEDS, DIGITS_SGD, DIGITS_SGD_METHODS

GRID = Grid(
    title="Digits: the wrong labels of Friendly-SAM's Table 6",
    recipe=DIGITS_SGD,
    settings=tuple(
        Setting(f"{rate:.0%} wrong labels", "digits", "small_cnn", {"label_noise": rate})
        for rate in (0.2, 0.4, 0.6, 0.8)
    ),
    methods=DIGITS_SGD_METHODS,
    reference="F-SAM",
    seeds=DIGITS_SEEDS,
    choosing_seeds=DIGITS_SEEDS[:2],
    axis="label_noise",
)

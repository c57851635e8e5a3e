"""The batch sizes of the Friendly-SAM paper's Figure 4, for digits with 40 % wrong labels.

    python examples/reproduce.py digits_fsam_batch_sizes

135 runs of 30 epochs. Hardware: 2 CPU cores. Duration: some 30 s of CPU a run.
Result: docs/results/digits_fsam_batch_sizes. F-SAM ends 0.1 to 0.4 points above SAM, which is
not shown to be more than chance, and 20 to 24 points above SGD.

Batches of 64 to 256 out of 960 images, all else equal.

The same 597 clean images test every run. Each method's radius is chosen by the accuracy on 240
held-out training images, whose labels are as noisy as the others.
"""

from experiments.grid import Grid, Setting
from experiments.recipes import DIGITS_SEEDS, DIGITS_SGD, DIGITS_SGD_METHODS

GRID = Grid(
    title="Digits: the batch sizes of Friendly-SAM's Figure 4",
    recipe=DIGITS_SGD,
    settings=tuple(
        Setting(f"Batches of {size}", "digits", "small_cnn", {"batch_size": size})
        for size in (64, 128, 256)
    ),
    methods=DIGITS_SGD_METHODS,
    reference="F-SAM",
    seeds=DIGITS_SEEDS,
    choosing_seeds=DIGITS_SEEDS[:2],
    axis="batch_size",
)

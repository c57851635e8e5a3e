"""What a second of training buys: digits with 40 % wrong labels, methods of one to two passes.

    python examples/reproduce.py digits_wall_clock

160 runs of 30 epochs. Hardware: one core of an AMD EPYC a run, for the seconds to be comparable.
Duration: 30 minutes for two runs at a time.
Result: LookSAM is 0.4 points below SAM at 1.16 times AdamW's time (95 % interval -1.1 to +0.2), SAM
at every second step with twice the radius 0.1 below at 1.37 times. Late phases are 5 points below.

AdamW has a second row with the epochs that SAM's time buys it. "Late" perturbs in the last 30 % of
the steps, of which there are 450. The radii are chosen by the accuracy on 240 held-out training
images with clean labels; the same 597 clean images test every run.
"""

import dataclasses

from experiments.grid import Grid, Setting
from experiments.recipes import DIGITS, DIGITS_SEEDS, wall_clock_methods

GRID = Grid(
    title="Digits: accuracy and time",
    recipe=dataclasses.replace(DIGITS, clean_validation=True),
    settings=(Setting("Digits, 40% wrong labels", "digits", "small_cnn"),),
    methods=wall_clock_methods(
        epochs=DIGITS.epochs,
        late_from=315,
        radii=(0.2, 0.5, 1.0, 2.0),
        momentum_radii=(0.5, 1.0, 2.0),
        normalization_radii=(1.0, 2.0, 5.0),
    ),
    reference="SAM",
    seeds=DIGITS_SEEDS,
    timed=True,
)

"""What a second of training buys: 5,000 images of Fashion-MNIST with 20 % wrong labels.

    python examples/reproduce.py fashion_wall_clock

104 runs of 8 epochs, with `--data-dir FOLDER` on the four files `*-ubyte.gz` in a folder.
Hardware: one core of an AMD EPYC a run, for the seconds to be comparable, in part beside other
work. Duration: 37 minutes for two runs at a time.
Result: AdamW with twice the epochs is 1.5 points above AdamW, and no rule is: the network is too
small to learn the wrong labels. LookSAM is 7 points below.

AdamW has a second row with the epochs that SAM's time buys it. "Late" perturbs in the last 30 % of
the steps, of which there are 504. The radii are chosen by the accuracy on 1,000 held-out training
images with clean labels; the 10,000 test images test every run.
"""

from experiments.grid import Grid, Setting
from experiments.recipes import FASHION, wall_clock_methods

GRID = Grid(
    title="Fashion-MNIST: accuracy and time",
    recipe=FASHION,
    settings=(Setting("Fashion-MNIST, 20% wrong labels", "fashion_mnist", "strided_cnn"),),
    methods=wall_clock_methods(
        epochs=FASHION.epochs,
        late_from=353,
        radii=(0.01, 0.02, 0.05),
        momentum_radii=(0.03, 0.1, 0.3),
        normalization_radii=(0.02, 0.05, 0.1),
    ),
    reference="SAM",
    seeds=(0, 1, 2, 3),
    timed=True,
)

"""Figure 2 of the Friendly-SAM paper (CVPR 2024): what of SAM's perturbation helps, ResNet-18.

    python examples/reproduce.py fsam_figure_2

30 runs of 200 epochs. Hardware and duration: unknown. Result: not run.

SAM-full and SAM-noise compute the gradient of all 50,000 images at every step, which takes some 200
times as long as SAM's. They take it with one draw of the augmentation.

The paper shows curves without numbers. Both CIFARs with SGD, of its four datasets.
"""

from experiments.grid import Grid, Method, Setting
from experiments.recipes import ASCENTS, FRIENDLY, PLAIN_SGD

RADII = {"CIFAR-10": 0.1, "CIFAR-100": 0.2}


def setting(label, dataset):
    rules = {method: {"rho": RADII[label]} for method in ASCENTS}
    return Setting(label, dataset, "resnet18", rules=rules)


GRID = Grid(
    title="Friendly-SAM, Figure 2",
    recipe=FRIENDLY,
    settings=(setting("CIFAR-10", "cifar10"), setting("CIFAR-100", "cifar100")),
    methods=(
        Method("SGD", recipe=PLAIN_SGD),
        *(Method(label, "SAM", ascent=ascent) for label, ascent in ASCENTS.items()),
    ),
    reference="SAM",
)

"""Table 1 of the ZSharp paper by the recipe of the released code, which differs from the paper's.

    python examples/reproduce.py zsharp_table1_code

75 runs of 200 epochs, with one seed. Hardware and duration: unknown. Result: not run.

Adam with a weight decay of 5e-5 that is part of the gradient, for all methods; the learning rate
rises in the first 5 epochs and is multiplied by 0.75 every 30 epochs; ASAM has rho = 0.5; the third
dataset is SVHN. The paper says AdamW, times 0.75 every 10 epochs, rho = 0.05 and Tiny-ImageNet: its
figures are beside those of `zsharp_table1`. That the rise is linear is ours.
"""

from experiments.grid import Grid, Method, Setting
from experiments.recipes import ZSHARP_CODE, ZSHARP_NETWORKS

DATASETS = {"CIFAR-10": "cifar10", "CIFAR-100": "cifar100", "SVHN": "svhn"}

GRID = Grid(
    title="ZSharp, Table 1, by the released code",
    recipe=ZSHARP_CODE,
    settings=tuple(
        Setting(f"{data}, {network}", DATASETS[data], ZSHARP_NETWORKS[network])
        for data in DATASETS
        for network in ZSHARP_NETWORKS
    ),
    methods=(
        Method("Adam"),
        Method("SAM", "SAM", {"rho": 0.05}),
        Method("ASAM", "ASAM", {"rho": 0.5}),
        Method("Friendly-SAM", "FriendlySAM", {"rho": 0.05}),
        Method("ZSharp", "ZSharp", {"rho": 0.05, "q_p": 0.95, "norm": "per_variable"}),
    ),
    reference="ZSharp",
    seeds=(0,),
)

from __future__ import annotations

import keras

from keras_zsharp.checks import count
from keras_zsharp.ops import each
from keras_zsharp.rules.base import Rule
from keras_zsharp.rules.operators import to_radius
from keras_zsharp.rules.registry import registered
from keras_zsharp.typing import Config, FloatOrSchedule, FloatTensor, Gradients, Tensor, Variables


@registered("random_sam")
class RandomSAM(Rule):
    """The control of SAM: perturbs in a random direction. A step takes one pass.

    `e(w) = rho z / (‖z‖₂ + 1e-8)` with z drawn from a normal distribution, anew in each step. The
    norm is over all variables together, so that e(w) is as long as SAM's. The optimizer gets the
    gradient at w + e(w).

    **There is no pass at w.** The logged loss and metrics and BatchNormalization's statistics are
    those of w + e(w). `sharpness` is not measured, and is logged as 0. The weights stay at w, where
    `evaluate`, `predict` and saved files have them.

    The seed is state of the rule: it is saved, so that a resumed run draws what a straight one
    draws. All micro-batches of a step share a direction. So do devices and processes whose seeds
    are the same; with `perturbation_sync="replica"` on JAX each device has a seed of its own.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        seed: Seed of the directions, an int >= 0 whose last 31 bits count. None draws one, as
            `keras.utils.set_random_seed` determines.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range. While
            training: a layer assigns a weight.

    Reference:
        Li et al., "Revisiting Random Weight Perturbation for Efficiently Improving Generalization",
        TMLR 2024, arXiv:2404.00357.
    """

    reads = "weights"

    def __init__(
        self, rho: FloatOrSchedule = 0.05, *, seed: int | None = None, name: str | None = None
    ) -> None:
        super().__init__(rho, name=name)
        self.seed = None if seed is None else count("seed", seed)
        # PyTorch's seeds have no more bits.
        seed = None if self.seed is None else self.seed % 2**31
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(
        self, gradients: Gradients, variables: Variables, rho: FloatTensor
    ) -> list[Tensor | None]:
        def drawn(w):
            return keras.random.normal(w.shape, dtype=w.dtype, seed=self.seed_generator)

        return to_radius(each(drawn, gradients), rho)

    def get_config(self) -> Config:
        return {**super().get_config(), "seed": self.seed}

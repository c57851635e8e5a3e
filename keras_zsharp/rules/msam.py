from __future__ import annotations

from keras_zsharp.rules.base import Rule
from keras_zsharp.rules.operators import to_radius
from keras_zsharp.rules.registry import registered
from keras_zsharp.typing import FloatOrSchedule, FloatTensor, Gradients, Tensor, Variables


@registered("msam")
class MSAM(Rule):
    """Momentum-SAM: perturbs along the optimizer's momentum. A step takes one pass.

    `e(w) = - rho v / (‖v‖₂ + 1e-8)` with v the optimizer's momentum. That is the average of past
    gradients that it keeps, and the norm is over all variables together. The optimizer gets the
    gradient at w + e(w).

    **There is no pass at w.** The logged loss and metrics and BatchNormalization's statistics are
    those of w + e(w). `sharpness` is not measured, and is logged as 0. The weights stay at w, where
    `evaluate`, `predict` and saved files have them.

    The optimizer must keep a momentum: `SGD` and `RMSprop` with `momentum` above 0, `Adam`,
    `AdamW`, `Nadam`, `Adamax` or `Lion`.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range. Before
            training: the optimizer keeps no momentum. While training: a layer assigns a weight.

    Reference:
        Becker et al., "Momentum-SAM: Sharpness Aware Minimization without Computational Overhead",
        arXiv:2401.12033, Algorithm 1.
    """

    reads = "momentum"

    def __init__(self, rho: FloatOrSchedule = 0.3, *, name: str | None = None) -> None:
        super().__init__(rho, name=name)

    def call(
        self, gradients: Gradients, variables: Variables, rho: FloatTensor
    ) -> list[Tensor | None]:
        return to_radius(gradients, -rho)

from __future__ import annotations

from keras_zsharp.rules.base import Rule
from keras_zsharp.rules.operators import to_radius
from keras_zsharp.rules.registry import registered
from keras_zsharp.typing import FloatOrSchedule, FloatTensor, Gradients, Tensor, Variables


@registered("sam")
class SAM(Rule):
    """Sharpness-aware minimization: a step of length rho along the gradient.

    `e(w) = rho g / (‖g‖₂ + 1e-8)`. The norm is over all variables together.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Foret et al., "Sharpness-Aware Minimization for Efficiently Improving Generalization",
        ICLR 2021.
    """

    def __init__(self, rho: FloatOrSchedule = 0.05, *, name: str | None = None) -> None:
        super().__init__(rho, name=name)

    def call(
        self, gradients: Gradients, variables: Variables, rho: FloatTensor
    ) -> list[Tensor | None]:
        return to_radius(gradients, rho)

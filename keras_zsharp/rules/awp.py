from __future__ import annotations

from keras_zsharp.ops import each
from keras_zsharp.rules.base import Rule
from keras_zsharp.rules.operators import global_norm, scale, to_radius
from keras_zsharp.rules.registry import registered
from keras_zsharp.rules.variables import rank
from keras_zsharp.typing import FloatOrSchedule, FloatTensor, Gradients, Tensor, Variables


@registered("awp")
class AWP(Rule):
    """Adversarial weight perturbation: each kernel moves by a share of its own length.

    `e(w) = rho ‖w‖₂ g / (‖g‖₂ + 1e-8)` with the norms of each kernel by itself. Kernels are the
    variables of rank 2 or more that are no biases (variables named `bias` or `beta`). The others,
    such as gains of normalization layers, do not move. Nor does a kernel of zeros.

    Args:
        rho: Length of a kernel's perturbation, relative to the kernel's, >= 0: a number or a
            `LearningRateSchedule`. The paper calls it gamma.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Wu et al., "Adversarial Weight Perturbation Helps Robust Generalization", NeurIPS 2020.
    """

    def __init__(self, rho: FloatOrSchedule = 0.01, *, name: str | None = None) -> None:
        super().__init__(rho, name=name)

    def call(
        self, gradients: Gradients, variables: Variables, rho: FloatTensor
    ) -> list[Tensor | None]:
        def perturbation(g, v):
            if rank(v) < 2:
                return scale(g, 0.0)  # Not zeros: Inf and NaN must not disappear.
            [epsilon] = to_radius([g], rho * global_norm([v]))
            return epsilon

        return each(perturbation, gradients, variables)

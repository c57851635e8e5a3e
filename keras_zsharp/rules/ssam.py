from __future__ import annotations

from keras import ops

from keras_zsharp.ops import each
from keras_zsharp.rules.operators import global_norm, scale
from keras_zsharp.rules.registry import registered
from keras_zsharp.rules.sam import SAM
from keras_zsharp.typing import FloatOrSchedule, Gradients


@registered("ssam")
class SSAM(SAM):
    """Stable SAM: SAM whose second gradient has the length of the first.

    `e(w)` is SAM's. The optimizer gets `p ‖g‖₂ / ‖p‖₂`. g is the gradient at w, p the gradient
    at w + e(w), and the norms are over all variables together. It gets 0 if p is 0.

    This differs from SAM if the optimizer's steps depend on the gradient's length, as SGD's do.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Tan et al., "Stabilizing Sharpness-Aware Minimization Through A Simple Renormalization
        Strategy", JMLR 26, 2025.
    """

    def __init__(self, rho: FloatOrSchedule = 0.05, *, name: str | None = None) -> None:
        super().__init__(rho, name=name)

    def descent(self, gradients: Gradients, shifted_gradients: Gradients) -> Gradients:
        factor = ops.divide_no_nan(global_norm(gradients), global_norm(shifted_gradients))
        return each(lambda p: scale(p, factor), shifted_gradients)

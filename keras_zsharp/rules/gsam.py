from __future__ import annotations

from keras_zsharp.checks import number
from keras_zsharp.ops import each
from keras_zsharp.rules.operators import projection, scale
from keras_zsharp.rules.registry import registered
from keras_zsharp.rules.sam import SAM
from keras_zsharp.typing import Config, FloatOrSchedule, Gradients


@registered("gsam")
class GSAM(SAM):
    """Surrogate gap SAM: also closes the gap between the loss around w and the loss at w.

    `e(w)` is SAM's. The optimizer gets `p - alpha g⊥` with `g⊥ = g - (g · u) u`, `u = p / ‖p‖₂`.
    g is the gradient at w, p that at w + e(w), and g⊥ the component of g orthogonal to p.

    To first order, a step along g⊥ lowers `L(w + e) - L(w)` and leaves `L(w + e)` as it is.

    In the paper rho falls with the learning rate: see `keras_zsharp.schedules.FollowLearningRate`.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        alpha: Weight of the orthogonal component, >= 0. 0 is SAM.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Zhuang et al., "Surrogate Gap Minimization Improves Sharpness-Aware Training", ICLR 2022.
    """

    def __init__(
        self, rho: FloatOrSchedule = 0.05, alpha: float = 0.4, *, name: str | None = None
    ) -> None:
        super().__init__(rho, name=name)
        self.alpha = number("alpha", alpha, ">= 0", lambda alpha: alpha >= 0)

    def descent(self, gradients: Gradients, shifted_gradients: Gradients) -> Gradients:
        along = projection(gradients, shifted_gradients)
        return each(
            lambda p, g, a: p - scale(g - a, self.alpha), shifted_gradients, gradients, along
        )

    def get_config(self) -> Config:
        return {**super().get_config(), "alpha": self.alpha}

from __future__ import annotations

from keras_zsharp.checks import number
from keras_zsharp.ops import each
from keras_zsharp.rules.registry import registered
from keras_zsharp.rules.sam import SAM
from keras_zsharp.typing import Config, FloatOrSchedule, Gradients


@registered("wsam")
class WSAM(SAM):
    """Weighted SAM: the sharpness is a regularizer with a weight.

    `e(w)` is SAM's. The optimizer gets `((1 - 2 gamma) g + gamma p) / (1 - gamma)`. g is the
    gradient at w, and p the gradient at w + e(w). So the rule minimizes
    `L(w) + gamma / (1 - gamma) (L(w + e) - L(w))`.

    This is the source's coupled form. Its decoupled one gives the optimizer g, and descends along
    the rest by SGD. With SGD without momentum the two are the same.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        gamma: Weight of the sharpness, in [0, 1). 0 is the optimizer alone, 0.5 is SAM, and the
            paper recommends 0.8 to 0.95.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Yue et al., "Sharpness-Aware Minimization Revisited: Weighted Sharpness as a Regularization
        Term", KDD 2023.
    """

    def __init__(
        self, rho: FloatOrSchedule = 0.05, gamma: float = 0.9, *, name: str | None = None
    ) -> None:
        super().__init__(rho, name=name)
        self.gamma = number("gamma", gamma, "in [0, 1)", lambda gamma: 0 <= gamma < 1)

    def descent(self, gradients: Gradients, shifted_gradients: Gradients) -> Gradients:
        of_w = (1 - 2 * self.gamma) / (1 - self.gamma)
        of_shifted = self.gamma / (1 - self.gamma)
        return each(lambda g, p: of_w * g + of_shifted * p, gradients, shifted_gradients)

    def get_config(self) -> Config:
        return {**super().get_config(), "gamma": self.gamma}

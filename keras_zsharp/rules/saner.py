from __future__ import annotations

from keras import ops

from keras_zsharp.checks import number
from keras_zsharp.ops import each
from keras_zsharp.rules.hyperparameter import Hyperparameter
from keras_zsharp.rules.operators import scale
from keras_zsharp.rules.registry import registered
from keras_zsharp.rules.sam import SAM
from keras_zsharp.typing import Config, FloatOrSchedule, Gradients, Tensor


def _factor(alpha):
    return number("alpha", alpha, "in [0, 1]", lambda alpha: 0 <= alpha <= 1)


@registered("saner")
class SANER(SAM):
    """SAM against wrong labels: scales down the components that SAM makes smaller.

    `e(w)` is SAM's. The optimizer gets `alpha p` in the components with `0 < p / g < 1`, and `p` in
    the others. g is the gradient at w, and p the gradient at w + e(w). A component where g is 0
    stays p.

    SAM weighs such components down itself. The paper finds that they learn wrong labels by heart.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        alpha: Factor of these components, in [0, 1]: a number, which can be set while training, or
            a `LearningRateSchedule`. 1 is SAM. In the released code it falls from 1 to 0.5 in the
            first quarter of training.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Luong et al., "Understanding SAM's Robustness to Noisy Labels through Gradient
        Down-weighting", AISTATS 2026, arXiv:2411.17132.
    """

    alpha: Hyperparameter = Hyperparameter(_factor)

    def __init__(
        self, rho: FloatOrSchedule = 0.1, alpha: FloatOrSchedule = 0.5, *, name: str | None = None
    ) -> None:
        super().__init__(rho, name=name)
        self.alpha = alpha

    def descent(
        self, gradients: Gradients, shifted_gradients: Gradients, step: Tensor | None = None
    ) -> Gradients:
        alpha = ops.clip(type(self).alpha.tensor(self, step), 0, 1)

        def reweighted(p, g):
            # Not by their ratio: the loss scale would show in what keeps it from a division by 0.
            smaller = ops.logical_and(ops.sign(p) == ops.sign(g), ops.abs(p) < ops.abs(g))
            return ops.where(smaller, scale(p, alpha), p)

        return each(reweighted, shifted_gradients, gradients)

    def get_config(self) -> Config:
        return {**super().get_config(), "alpha": type(self).alpha.to_config(self)}

import keras

from keras_zsharp.checks import number
from keras_zsharp.perturbations.operators import each, projection, scale
from keras_zsharp.perturbations.sam import SAM


@keras.saving.register_keras_serializable("keras_zsharp")
class GSAM(SAM):
    """GSAM: SAM that also closes the gap between the loss around w and the loss at w.

    `e(w)` is SAM's. With g the gradient at w and p the one at w + e(w), the optimizer is given
    `p - alpha g⊥`, where `g⊥ = g - (g · u) u`, `u = p / ‖p‖₂`, is what g has beside p: ascending
    along it lowers `L(w + e) - L(w)` and leaves `L(w + e)` as it is, to first order.

    The source lets rho fall with the learning rate: hand it the same kind of schedule.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        alpha: Weight of closing the gap, >= 0. 0 is SAM.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Zhuang et al., "Surrogate Gap Minimization Improves Sharpness-Aware Training", ICLR 2022.
    """

    def __init__(self, rho=0.05, alpha=0.4, *, name=None):
        super().__init__(rho, name=name)
        self.alpha = number("alpha", alpha, ">= 0", lambda alpha: alpha >= 0)

    def descent(self, gradients, shifted_gradients):
        along = projection(gradients, shifted_gradients)
        return each(
            lambda p, g, a: p - scale(g - a, self.alpha), shifted_gradients, gradients, along
        )

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}

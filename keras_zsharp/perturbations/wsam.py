import keras

from keras_zsharp.checks import number
from keras_zsharp.perturbations.operators import each
from keras_zsharp.perturbations.sam import SAM


@keras.saving.register_keras_serializable("keras_zsharp")
class WSAM(SAM):
    """Weighted SAM: the sharpness is a regularizer with a weight of its own.

    Minimizes `L(w) + gamma / (1 - gamma) (L(w + e) - L(w))` with SAM's `e(w)`: with g the gradient
    at w and s the one at w + e(w), the optimizer is given
    `((1 - 2 gamma) g + gamma s) / (1 - gamma)`.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        gamma: Weight of the sharpness, in [0, 1). 0 is the optimizer alone, 0.5 is SAM, and the
            source recommends 0.8 to 0.95.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Yue et al., "Sharpness-Aware Minimization Revisited: Weighted Sharpness as a Regularization
        Term", KDD 2023.
    """

    def __init__(self, rho=0.05, gamma=0.9, *, name=None):
        super().__init__(rho, name=name)
        self.gamma = number("gamma", gamma, "in [0, 1)", lambda gamma: 0 <= gamma < 1)

    def descent(self, gradients, shifted_gradients):
        of_w = (1 - 2 * self.gamma) / (1 - self.gamma)
        of_shifted = self.gamma / (1 - self.gamma)
        return each(lambda g, s: of_w * g + of_shifted * s, gradients, shifted_gradients)

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma}

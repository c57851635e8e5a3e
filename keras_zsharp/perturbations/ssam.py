import keras
from keras import ops

from keras_zsharp.perturbations.operators import each, global_norm, scale
from keras_zsharp.perturbations.sam import SAM


@keras.saving.register_keras_serializable("keras_zsharp")
class SSAM(SAM):
    """Stable SAM: SAM whose second gradient has the length of the first.

    `e(w)` is SAM's. With g the gradient at w and s the one at w + e(w), the optimizer is given
    `s ‖g‖₂ / ‖s‖₂`, with norms over all variables together, and 0 where s is. It differs from SAM
    for an optimizer whose steps depend on the gradient's length, such as SGD.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Tan et al., "Stabilizing Sharpness-Aware Minimization Through A Simple Renormalization
        Strategy", JMLR 26, 2025.
    """

    def __init__(self, rho=0.05, *, name=None):
        super().__init__(rho, name=name)

    def descent(self, gradients, shifted_gradients):
        factor = ops.divide_no_nan(global_norm(gradients), global_norm(shifted_gradients))
        return each(lambda s: scale(s, factor), shifted_gradients)

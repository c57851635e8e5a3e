import keras

from keras_zsharp.checks import positive_eta
from keras_zsharp.perturbations.base import Perturbation
from keras_zsharp.perturbations.operators import to_adaptive_radius


@keras.saving.register_keras_serializable("keras_zsharp")
class ASAM(Perturbation):
    """Adaptive SAM: the radius is measured relative to each weight's size.

    `e(w) = rho T² g / (‖T g‖₂ + 1e-8)` with `T = |w| + eta`, and `T = 1` for biases (variables
    named `bias` or `beta`). Rescaling a layer and undoing it in the next leaves the sharpness that
    ASAM sees unchanged; its radii are about ten times those of SAM.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        eta: What is added to each weight's size, > 0, so that weights at 0 can move.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Kwon et al., "ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning of
        Deep Neural Networks", ICML 2021.
    """

    def __init__(self, rho=0.5, eta=0.01, *, name=None):
        super().__init__(rho, name=name)
        self.eta = positive_eta(eta)

    def call(self, gradients, variables, rho):
        return to_adaptive_radius(gradients, variables, rho, self.eta)

    def get_config(self):
        return {**super().get_config(), "eta": self.eta}

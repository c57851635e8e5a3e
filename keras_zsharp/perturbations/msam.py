import keras

from keras_zsharp.perturbations.base import Perturbation
from keras_zsharp.perturbations.operators import to_radius


@keras.saving.register_keras_serializable("keras_zsharp")
class MSAM(Perturbation):
    """Momentum-SAM: perturbs along the optimizer's momentum, and takes one pass a step.

    `e(w) = - rho v / (‖v‖₂ + 1e-8)`, where v is the average of past gradients that the optimizer
    keeps, and the norm is over all variables together. The optimizer is given the gradient at
    w + e(w), which is the only one.

    **There is no pass at w.** What training logs (loss, metrics) and what it moves
    (BatchNormalization's statistics) is that of w + e(w). `sharpness` is not measured, and is
    logged as 0. The weights are at w all the same: what `evaluate`, `predict` and a file have.

    The optimizer must keep a momentum: `SGD` and `RMSprop` with `momentum` above 0, `Adam`,
    `AdamW`, `Nadam`, `Adamax` or `Lion`.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range. Before
            training: the optimizer keeps no momentum. While training: a layer assigns a weight.

    Reference:
        Becker et al., "Momentum-SAM: Sharpness Aware Minimization without Computational Overhead",
        arXiv:2401.12033, Algorithm 1.
    """

    along_momentum = True

    def __init__(self, rho=0.3, *, name=None):
        super().__init__(rho, name=name)

    def call(self, gradients, variables, rho):
        return to_radius(gradients, -rho)

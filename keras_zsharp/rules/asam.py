from __future__ import annotations

from keras_zsharp.checks import positive_eta
from keras_zsharp.rules.base import Rule
from keras_zsharp.rules.operators import to_adaptive_radius
from keras_zsharp.rules.registry import registered
from keras_zsharp.typing import Config, FloatOrSchedule, FloatTensor, Gradients, Tensor, Variables


@registered("asam")
class ASAM(Rule):
    """Adaptive SAM: the radius is measured relative to each weight's size.

    `e(w) = rho T² g / (‖T g‖₂ + 1e-8)` with `T = abs(w) + eta`, `T = 1` for biases. Those are the
    variables named `bias` or `beta`.

    A factor on the weights of one layer and its inverse on the next leave the model as it is. They
    leave ASAM's sharpness as it is, too. ASAM's radii are about ten times those of SAM.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        eta: The term that is added to `|w|`, > 0. With it, weights at 0 can move.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Kwon et al., "ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning of
        Deep Neural Networks", ICML 2021.
    """

    def __init__(
        self, rho: FloatOrSchedule = 0.5, eta: float = 0.01, *, name: str | None = None
    ) -> None:
        super().__init__(rho, name=name)
        self.eta = positive_eta(eta)

    def call(
        self, gradients: Gradients, variables: Variables, rho: FloatTensor
    ) -> list[Tensor | None]:
        return to_adaptive_radius(gradients, variables, rho, self.eta)

    def get_config(self) -> Config:
        return {**super().get_config(), "eta": self.eta}

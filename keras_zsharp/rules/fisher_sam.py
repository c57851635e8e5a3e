from __future__ import annotations

from keras import ops

from keras_zsharp.checks import number
from keras_zsharp.rules.base import Rule
from keras_zsharp.rules.operators import dot, each, radius_factor, scale
from keras_zsharp.rules.registry import registered
from keras_zsharp.typing import Config, FloatOrSchedule, FloatTensor, Gradients, Tensor, Variables


@registered("fisher_sam")
class FisherSAM(Rule):
    """Fisher SAM: the neighbourhood is an ellipsoid of the Fisher information, not a ball.

    `e(w) = rho F⁻¹ g / (sqrt(g · F⁻¹ g) + 1e-8)` with the diagonal `F = 1 + eta g²`.

    The squared gradient of the batch estimates the Fisher information. Components with large
    gradients change the model's predictions most, and move less than in SAM. `eta=0` is SAM.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`. The source calls it
            gamma.
        eta: Weight of the Fisher information beside the identity, >= 0.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Kim et al., "Fisher SAM: Information Geometry and Sharpness Aware Minimisation", ICML 2022.
    """

    def __init__(
        self, rho: FloatOrSchedule = 0.1, eta: float = 1.0, *, name: str | None = None
    ) -> None:
        super().__init__(rho, name=name)
        self.eta = number("eta", eta, ">= 0", lambda eta: eta >= 0)

    def call(
        self, gradients: Gradients, variables: Variables, rho: FloatTensor
    ) -> list[Tensor | None]:
        natural = each(lambda g: g / (1 + self.eta * ops.square(g)), gradients)
        factor = radius_factor(rho, ops.sqrt(dot(gradients, natural)))
        return each(lambda n: scale(n, factor), natural)

    def get_config(self) -> Config:
        return {**super().get_config(), "eta": self.eta}

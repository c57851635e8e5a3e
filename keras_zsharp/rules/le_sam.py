from __future__ import annotations

from keras import ops

from keras_zsharp.checks import number
from keras_zsharp.rules.base import Rule
from keras_zsharp.rules.hyperparameter import Hyperparameter
from keras_zsharp.rules.operators import DELTA, each, global_norm, radius_factor, scale
from keras_zsharp.rules.registry import registered
from keras_zsharp.typing import Config, FloatOrSchedule, FloatTensor, Gradients, Tensor, Variables


def _budget(sigma):
    return number("sigma", sigma, ">= 0", lambda sigma: sigma >= 0)


@registered("le_sam")
class LESAM(Rule):
    """Loss-equated SAM: the radius is that at which the loss rises by a given amount.

    `e(w) = r g / (‖g‖₂ + 1e-8)` with `r = min(sigma / (‖g‖₂ + 1e-8), rho)`. The norm is over all
    variables together.

    To first order, the loss at w + e(w) is sigma above the loss at w, or less. SAM fixes the
    radius, and the rise of the loss grows with the gradient. This rule fixes the rise.

    Args:
        rho: The largest radius, >= 0: a number or a `LearningRateSchedule`.
        sigma: The rise of the loss, >= 0: a number, which can be set while training, or a
            `LearningRateSchedule`. In the released code it rises from 0 in the first 10 of 200
            epochs, and falls to 0 along a cosine in the last 40.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Wang et al., "Fix the Loss, Not the Radius: Rethinking the Adversarial Perturbation of
        Sharpness-Aware Minimization", ICML 2026, arXiv:2605.10183.
    """

    sigma: Hyperparameter = Hyperparameter(_budget)

    def __init__(
        self, rho: FloatOrSchedule = 0.3, sigma: FloatOrSchedule = 0.35, *, name: str | None = None
    ) -> None:
        super().__init__(rho, name=name)
        self.sigma = sigma

    def perturbs(self, step: Tensor | None = None) -> Tensor:
        return ops.logical_and(super().perturbs(step), type(self).sigma.tensor(self, step) > 0)

    def call(
        self,
        gradients: Gradients,
        variables: Variables,
        rho: FloatTensor,
        step: Tensor | None = None,
    ) -> list[Tensor | None]:
        norm = global_norm(gradients)
        sigma = ops.maximum(ops.cast(type(self).sigma.tensor(self, step), norm.dtype), 0)
        factor = radius_factor(ops.minimum(sigma / (norm + DELTA), ops.cast(rho, norm.dtype)), norm)
        return each(lambda g: scale(g, factor), gradients)

    def get_config(self) -> Config:
        return {**super().get_config(), "sigma": type(self).sigma.to_config(self)}

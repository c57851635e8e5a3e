from __future__ import annotations

from typing import Any

from keras import ops

from keras_zsharp.checks import number, positive_eta
from keras_zsharp.ops import each
from keras_zsharp.rules.keeping import Keeping
from keras_zsharp.rules.operators import to_adaptive_radius, to_radius
from keras_zsharp.rules.registry import registered
from keras_zsharp.typing import Config, FloatOrSchedule, FloatTensor, Gradients, Tensor, Variables


@registered("friendly_sam")
class FriendlySAM(Keeping):
    """Friendly-SAM: perturbs along the batch's gradient minus its running average.

    `e(w) = rho d / (‖d‖₂ + 1e-8)` with `d = g - sigma m`, after `m <- lmbda m + (1 - lmbda) g`.

    `m` starts at 0 and estimates the gradient of all training data. It is saved with the model, and
    takes the memory of one more copy of the trainable weights.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        lmbda: Decay of the average, in [0, 1). The paper uses 0.6, 0.9 and 0.95.
        sigma: Factor of the average that is subtracted. 0 is SAM, and the paper uses 1.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Li et al., "Friendly Sharpness-Aware Minimization", CVPR 2024, Algorithm 1.
    """

    def __init__(
        self,
        rho: FloatOrSchedule = 0.05,
        lmbda: float = 0.9,
        sigma: float = 1.0,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(rho, name=name)
        self.lmbda = number("lmbda", lmbda, "in [0, 1)", lambda lmbda: 0 <= lmbda < 1)
        self.sigma = number("sigma", sigma)

    @property
    def averages(self) -> list[Any]:
        """The averages m, one variable for each trainable variable."""
        return self.kept

    def call(
        self, gradients: Gradients, variables: Variables, rho: FloatTensor
    ) -> list[Tensor | None]:
        return to_radius(self._without_average(gradients), rho)

    def _without_average(self, gradients):
        """`d = g - sigma m`, after updating m."""

        def update(gradient, average):
            updated = self.lmbda * average + (1 - self.lmbda) * ops.cast(gradient, average.dtype)
            average.assign(updated)
            return gradient - self.sigma * ops.cast(updated, gradient.dtype)

        return each(update, gradients, self.kept)

    def get_config(self) -> Config:
        return {**super().get_config(), "lmbda": self.lmbda, "sigma": self.sigma}


@registered("adaptive_friendly_sam")
class AdaptiveFriendlySAM(FriendlySAM):
    """F-ASAM: Friendly-SAM's direction with ASAM's adaptive radius.

    `e(w) = rho T² d / (‖T d‖₂ + 1e-8)` with Friendly-SAM's `d` and ASAM's `T`.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        lmbda: Decay of the average, in [0, 1).
        sigma: Factor of the average that is subtracted. 0 is ASAM.
        eta: The term that is added to `|w|`, > 0.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Li et al., "Friendly Sharpness-Aware Minimization", CVPR 2024, Table 3.
    """

    def __init__(
        self,
        rho: FloatOrSchedule = 0.5,
        lmbda: float = 0.9,
        sigma: float = 1.0,
        eta: float = 0.01,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(rho, lmbda, sigma, name=name)
        self.eta = positive_eta(eta)

    def call(
        self, gradients: Gradients, variables: Variables, rho: FloatTensor
    ) -> list[Tensor | None]:
        return to_adaptive_radius(self._without_average(gradients), variables, rho, self.eta)

    def get_config(self) -> Config:
        return {**super().get_config(), "eta": self.eta}

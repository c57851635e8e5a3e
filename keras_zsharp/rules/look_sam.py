from __future__ import annotations

from keras import ops

from keras_zsharp.checks import number, positive_int
from keras_zsharp.ops import each
from keras_zsharp.rules.keeping import Keeping
from keras_zsharp.rules.operators import global_norm, projection, scale, to_radius
from keras_zsharp.rules.registry import registered
from keras_zsharp.typing import Config, FloatOrSchedule, FloatTensor, Gradients, Tensor, Variables


@registered("look_sam")
class LookSAM(Keeping):
    """SAM at every k-th step. The steps between reuse its change of the gradient.

    At every k-th step, `e(w) = rho g / (‖g‖₂ + 1e-8)` with g the gradient at w. The optimizer gets
    the gradient p at w + e(w). The rule keeps the component of p orthogonal to g:
    `v = p - (p · u) u` with `u = g / ‖g‖₂`. The optimizer gets `g + alpha ‖g‖₂ / ‖v‖₂ v` in
    the steps between, which take one pass. Norms and products are over all variables together.

    v is 0 before the first perturbation. It is saved with the model, and takes the memory of one
    more copy of the trainable weights. Steps are those of the optimizer: the rule perturbs where
    `optimizer.iterations` is a multiple of k. Where rho is 0, the optimizer gets g.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        alpha: Weight of the orthogonal component, >= 0. With 0 the steps between are plain.
        every: The steps from one perturbation to the next, the paper's k, >= 1. 1 is SAM.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Liu et al., "Towards Efficient and Scalable Sharpness-Aware Minimization", CVPR 2022,
        Algorithm 1.
    """

    kept_as, keeps = "orthogonal", "keeps gradients of"

    def __init__(
        self,
        rho: FloatOrSchedule = 0.1,
        alpha: float = 0.7,
        every: int = 5,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(rho, name=name)
        self.alpha = number("alpha", alpha, ">= 0", lambda alpha: alpha >= 0)
        self.every = positive_int("every", every)

    def perturbs(self, step: Tensor) -> Tensor:
        return ops.logical_and(super().perturbs(step), step % self.every == 0)

    def call(
        self, gradients: Gradients, variables: Variables, rho: FloatTensor
    ) -> list[Tensor | None]:
        return to_radius(gradients, rho)

    def descent(self, gradients: Gradients, shifted_gradients: Gradients) -> Gradients:
        along = projection(shifted_gradients, gradients)
        # Only the direction is used. Divided by the norm, it does not depend on the loss scale.
        inverse = ops.divide_no_nan(1.0, global_norm(gradients))
        for kept, p, a in zip(self.kept, shifted_gradients, along, strict=True):
            if p is not None:
                kept.assign(ops.cast(scale(p - a, inverse), kept.dtype))
        return shifted_gradients

    def plain_descent(self, gradients: Gradients, step: Tensor | None = None) -> Gradients:
        kept = each(lambda g, kept: ops.cast(kept, g.dtype), gradients, self.kept)
        norm = global_norm(gradients)
        factor = ops.divide_no_nan(self.alpha * norm, ops.cast(global_norm(kept), norm.dtype))
        still = type(self).rho.tensor(self, step) == 0
        factor = ops.where(still, ops.zeros_like(factor), factor)
        return each(lambda g, v: g + scale(v, factor), gradients, kept)

    def get_config(self) -> Config:
        return {**super().get_config(), "alpha": self.alpha, "every": self.every}

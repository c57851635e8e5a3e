import keras
from keras import ops

from keras_zsharp.checks import number, positive_int
from keras_zsharp.perturbations.keeping import Keeping
from keras_zsharp.perturbations.operators import each, global_norm, projection, scale, to_radius


@keras.saving.register_keras_serializable("keras_zsharp")
class LookSAM(Keeping):
    """LookSAM: SAM at every k-th step; between, what SAM added then goes on.

    With g the gradient at w, at every k-th step `e(w) = rho g / (‖g‖₂ + 1e-8)`. Of the gradient s
    at w + e(w), which the optimizer is given, the part beside g is kept: `v = s - (s · u) u`,
    `u = g / ‖g‖₂`. At the steps between, of one pass, the optimizer is given
    `g + alpha ‖g‖₂ / ‖v‖₂ v`. Norms and products are over all variables together.

    v is saved with the model, and is 0 before the first perturbation. Steps are counted from 0, the
    plain ones of `perturb_from` too. Where rho is 0, the optimizer is given g. Memory: one more
    copy of the trainable weights.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        alpha: Weight of what is kept, >= 0. 0 takes plain steps between.
        every: The steps from one perturbation to the next, the source's k, >= 1. 1 is SAM.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Liu et al., "Towards Efficient and Scalable Sharpness-Aware Minimization", CVPR 2022,
        Algorithm 1.
    """

    kept_as, keeps = "orthogonal", "goes on along"

    def __init__(self, rho=0.1, alpha=0.7, every=5, *, name=None):
        super().__init__(rho, name=name)
        self.alpha = number("alpha", alpha, ">= 0", lambda alpha: alpha >= 0)
        self.every = positive_int("every", every)
        self.count()

    def perturbs(self):
        return ops.logical_and(super().perturbs(), self.count() % self.every == 0)

    def call(self, gradients, variables, rho):
        return to_radius(gradients, rho)

    def descent(self, gradients, shifted_gradients):
        along = projection(shifted_gradients, gradients)
        # Only its direction counts: this way it has no scale of the loss in it.
        inverse = ops.divide_no_nan(1.0, global_norm(gradients))
        for kept, s, a in zip(self.kept, shifted_gradients, along, strict=True):
            if s is not None:
                kept.assign(ops.cast(scale(s - a, inverse), kept.dtype))
        return shifted_gradients

    def plain_descent(self, gradients):
        kept = each(lambda g, kept: ops.cast(kept, g.dtype), gradients, self.kept)
        norm = global_norm(gradients)
        factor = ops.divide_no_nan(self.alpha * norm, ops.cast(global_norm(kept), norm.dtype))
        still = type(self).rho.tensor(self) == 0
        factor = ops.where(still, ops.zeros_like(factor), factor)
        return each(lambda g, v: g + scale(v, factor), gradients, kept)

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha, "every": self.every}

from __future__ import annotations

from typing import Literal

import keras
from keras import ops

from keras_zsharp.checks import count, number, one_of
from keras_zsharp.ops import each
from keras_zsharp.rules.base import Rule
from keras_zsharp.rules.hyperparameter import Hyperparameter
from keras_zsharp.rules.operators import global_norm, radius_factor, scale, to_radius
from keras_zsharp.rules.registry import registered
from keras_zsharp.rules.variables import rank
from keras_zsharp.selection.masks import top_masks
from keras_zsharp.selection.scores import deviations, magnitudes, zscores
from keras_zsharp.typing import Config, FloatOrSchedule, FloatTensor, Gradients, Tensor, Variables


def _quantile(q_p):
    return number("q_p", q_p, "in [0, 1]", lambda q_p: 0 <= q_p <= 1)


@registered("zsharp")
class ZSharp(Rule):
    """SAM along the gradient components whose z-scores stand out in their variable.

    In each variable a mask keeps the components with `|z| > quantile(|z|, q_p)`, where
    `z = (g - mean(g)) / std(g)`: about the top `1 - q_p`.

    - `norm="global"` (the paper's Eq. 4): `e(w) = rho f / (‖f‖₂ + 1e-8)` with `f = g * mask`. The
      norm is over all variables together. If `‖f‖₂ = 0`, `e(w)` is SAM's.
    - `norm="per_variable"` (the authors' released code): each filtered variable gets
      `rho f / (‖f‖₂ + 1e-8)` with its own norm. An unfiltered variable, and one whose mask keeps
      nothing, gets SAM's `rho g / (‖g‖₂ + 1e-8)` with the norm over all of g. The length of the
      whole perturbation is about `rho * sqrt(filtered variables)`.

    **The papers' tables were made with that code.** To get their numbers, set
    `norm="per_variable"`.

    `q_p=0` is SAM, bit for bit. `q_p=1` perturbs nothing: the base optimizer trains alone.

    `score` and `percentile_scope` show what the z-score does. With them the masks keep as many
    components, but other ones. A `"random"` mask is drawn anew at each step.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        q_p: The quantile of absolute z-scores that a component must exceed, in [0, 1]: a number,
            which can be set while training, or a `LearningRateSchedule`, whose values are clipped
            and rounded to six decimals.
        norm: `"global"` or `"per_variable"`.
        min_rank: Variables of lower rank, such as normalisation gains, are not filtered: the papers
            filter fully-connected and convolutional layers. Biases (variables named `bias` or
            `beta`) have rank 1 here, whatever their shape: attention's have a row for every head.
            0 filters every variable.
        score: The score that has to stand out: `"zscore"`, `"magnitude"` for `|g|`, or `"random"`
            for a uniform random number.
        percentile_scope: The scores whose quantile is taken: `"variable"` for those of one
            variable, or `"global"` for those of all filtered variables together, as Eq. 3 can also
            be read.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Yun, "Sharpness-Aware Minimization with Z-Score Gradient Filtering", arXiv:2505.02369v6,
        Eq. 3 and 4.
    """

    # The rank of the quantile depends on more digits than float32 has.
    q_p: Hyperparameter = Hyperparameter(_quantile, "float64")

    def __init__(
        self,
        rho: FloatOrSchedule = 0.05,
        q_p: FloatOrSchedule = 0.95,
        norm: Literal["global", "per_variable"] = "global",
        min_rank: int = 2,
        *,
        score: Literal["zscore", "magnitude", "random"] = "zscore",
        percentile_scope: Literal["variable", "global"] = "variable",
        name: str | None = None,
    ) -> None:
        super().__init__(rho, name=name)
        self.q_p = q_p
        self.norm = one_of("norm", norm, "global", "per_variable")
        self.score = one_of("score", score, "zscore", "magnitude", "random")
        self.percentile_scope = one_of("percentile_scope", percentile_scope, "variable", "global")
        if score == "random":
            self.seed = keras.random.SeedGenerator()
        self.min_rank = count("min_rank", min_rank)

    def perturbs(self, step: Tensor | None = None) -> Tensor:
        return ops.logical_and(super().perturbs(step), type(self).q_p.tensor(self, step) < 1)

    def call(
        self,
        gradients: Gradients,
        variables: Variables,
        rho: FloatTensor,
        step: Tensor | None = None,
    ) -> list[Tensor | None]:
        q_p = ops.clip(type(self).q_p.tensor(self, step), 0, 1)
        rho = ops.where(q_p < 1, rho, ops.zeros_like(rho))
        chosen = [self._is_filtered(v) for v in variables]
        filtered = self._filtered(gradients, chosen, q_p)
        if self.norm == "per_variable":
            return self._per_variable(gradients, filtered, chosen, q_p, rho)
        norm = global_norm(filtered)
        return to_radius(each(lambda f, g: ops.where(norm > 0, f, g), filtered, gradients), rho)

    def _is_filtered(self, variable):
        return rank(variable) >= self.min_rank and 0 not in variable.shape

    def _filtered(self, gradients, chosen, q_p):
        """f: the gradients, of which those that are chosen are multiplied by their masks."""
        filtered = [g for g, c in zip(gradients, chosen, strict=True) if c and g is not None]
        masks = iter(top_masks(filtered, q_p, self._score(), self.percentile_scope == "global"))
        # A product, not `where`: Inf and NaN must not disappear behind the mask.
        return each(lambda g, c: g * ops.cast(next(masks), g.dtype) if c else g, gradients, chosen)

    def _score(self):
        if self.score == "magnitude":
            return magnitudes
        if self.score == "random":
            return lambda rows, sizes: keras.random.uniform(
                rows.shape, dtype=rows.dtype, seed=self.seed
            )
        # Within one variable, the standard deviation cancels.
        return zscores if self.percentile_scope == "global" else deviations

    def _per_variable(self, gradients, filtered, chosen, q_p, rho):
        whole = radius_factor(rho, global_norm(gradients))

        def perturb(gradient, filtered, chosen):
            if not chosen:
                return scale(gradient, whole)
            norm = global_norm([filtered])
            own = scale(filtered, radius_factor(rho, norm))
            return ops.where((norm > 0) & (q_p > 0), own, scale(gradient, whole))

        return each(perturb, gradients, filtered, chosen)

    def get_config(self) -> Config:
        names = ("norm", "min_rank", "score", "percentile_scope")
        config = {name: getattr(self, name) for name in names}
        return {**super().get_config(), "q_p": type(self).q_p.to_config(self), **config}

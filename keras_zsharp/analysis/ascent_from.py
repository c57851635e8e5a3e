from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

from keras_zsharp.analysis.source import source
from keras_zsharp.checks import one_of
from keras_zsharp.keras_internals import fitting
from keras_zsharp.model import SharpnessAwareModel
from keras_zsharp.ops import each, size_of
from keras_zsharp.rules import Rule
from keras_zsharp.rules.operators import projection, widened
from keras_zsharp.typing import Config, Data, Gradients, Variables


class AscentFrom(SharpnessAwareModel):
    """Perturbs along a component of the batch's gradient, or along another batch's gradient.

    This tells what of SAM's perturbation has its effect. With g the batch's gradient at w and G
    that of all of `ascent_data`, the rule gets

    - `component="full"`: `(g · G) G / ‖G‖₂²`, the component of g along G. With `SAM`: SAM-full.
    - `component="noise"`: the rest, `g - (g · G) G / ‖G‖₂²`. With `SAM`: SAM-noise.
    - `component="batch"`: the gradient of the next batch of `ascent_data`, which starts over where
      it ends. With `SAM`: SAM-db.

    All else is as in `SharpnessAwareModel`: the optimizer gets the batch's gradient at w + e. The
    paper prints `cos(g, G) G` for the projection. That has the same direction, but the rest would
    not be orthogonal to it, as the paper says it is.

    G is the mean over the batches, weighted by their sizes, of the gradients in training mode, with
    the step's dropout. These passes change no state. The position in `ascent_data` is not saved. If
    G = g, the noise is nothing but rounding errors.

    Cost of a step: `"full"` and `"noise"` go forward and backward through all of `ascent_data`,
    batch by batch. `"batch"` goes through one more batch. With `micro_batches=k`, this happens k
    times. A plain step has no such cost. XLA cannot compile the step: Keras trains without XLA and
    says so. On JAX, the step runs eagerly.

    A config has no data: save `.model` or the weights, not the wrapper.

    Args:
        model: A `keras.Model`, see `SharpnessAwareModel`.
        rule: A rule, or its name.
        ascent_data: The training data: a `tf.data.Dataset` of batches `(x, y)` or
            `(x, y, sample_weight)`, or such a tuple of (nested) arrays. For `"batch"`, arrays are
            shuffled, and a dataset is read in its order.
        component: `"full"`, `"noise"` or `"batch"`.
        batch_size: int >= 1, for arrays. For `"batch"`, take that of `fit`.
        **kwargs: Passed on to `SharpnessAwareModel`.

    Raises:
        TypeError: `ascent_data` is neither dataset nor tuple; what `SharpnessAwareModel` raises.
        ValueError: `component` is none of the three; `ascent_data` is not batched, is empty, or is
            infinite (except for `"batch"`); `batch_size` is no int >= 1; what
            `SharpnessAwareModel` raises. Before training: there are several devices; the rule
            reads no gradients, as `MSAM` and `RandomSAM`.
        NotImplementedError: The wrapper is saved as a whole.

    Example:

    >>> import keras_zsharp
    >>> import numpy as np
    >>> x, y = np.ones((4, 1)), np.zeros((4, 1))
    >>> net = keras.Sequential([keras.layers.Dense(1)])
    >>> sam_full = AscentFrom(net, keras_zsharp.SAM(rho=0.05), ascent_data=(x, y), component="full")
    >>> sam_full.compile(optimizer="sgd", loss="mse")
    >>> history = sam_full.fit(x, y, batch_size=2, verbose=0)

    Reference:
        Li et al., "Friendly Sharpness-Aware Minimization", CVPR 2024, section 4.
    """

    def __init__(
        self,
        model: keras.Model,
        rule: Rule | str = "sam",
        *,
        ascent_data: Data,
        component: Literal["full", "noise", "batch"] = "full",
        batch_size: int = 32,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, rule, **kwargs)
        self.component = one_of("component", component, "full", "noise", "batch")
        fitting.never_compiled(self)
        self._source = source(ascent_data, batch_size, drawn=component == "batch")

    def ascent_gradients(self, gradients: Gradients, variables: Variables) -> Gradients:
        if self.component == "batch":
            others = self.gradients_of(self._source.draw(), variables)
            return each(lambda _, other: other, gradients, others)
        full = each(lambda g, f: ops.cast(f, g.dtype), gradients, self._full_gradients(variables))
        along = projection(gradients, full)
        return along if self.component == "full" else each(ops.subtract, gradients, along)

    def _full_gradients(self, variables):
        def add(batch, state):
            size, totals = state
            n = size_of(batch[0])
            gradients = self.gradients_of(batch, variables)
            totals = [
                total if g is None else total + ops.cast(n, total.dtype) * widened(g)
                for total, g in zip(totals, gradients, strict=True)
            ]
            return size + n, totals

        wide = [keras.backend.result_type(v.dtype, "float32") for v in variables]
        zeros = [ops.zeros(v.shape, dtype) for v, dtype in zip(variables, wide, strict=True)]
        size, totals = self._source.fold(add, (0, zeros))
        return [total / ops.cast(size, total.dtype) for total in totals]

    def make_train_function(self, force: bool = False) -> None:
        if self.rule.reads != "gradients":
            raise ValueError(
                f"`rule` of an `{type(self).__name__}` must read gradients. "
                f"Received: {type(self.rule).__name__}, which reads {self.rule.reads}"
            )
        devices = self.count_devices()
        if devices > 1:
            raise ValueError(
                f"`{type(self).__name__}` must train on one device: each of several would read "
                f"`ascent_data` for itself. Received: {devices} devices"
            )
        return super().make_train_function(force)

    def get_config(self) -> Config:
        raise NotImplementedError(
            f"`{type(self).__name__}` cannot be saved: a config has no `ascent_data`. Save "
            "`.model`, the model inside, or the weights."
        )

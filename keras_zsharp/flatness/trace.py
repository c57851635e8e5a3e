from __future__ import annotations

import typing
from typing import TYPE_CHECKING, overload

import keras
import numpy as np

from keras_zsharp.flatness import blocks
from keras_zsharp.flatness.blocks import By
from keras_zsharp.flatness.checks import Options, checked
from keras_zsharp.flatness.objective import MeanLoss, mean_loss
from keras_zsharp.typing import Data

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Trace(typing.NamedTuple):
    """An estimated trace.

    Attributes:
        mean: The estimate.
        standard_error: The standard error of the estimate: `s / sqrt(n)` for n samples of standard
            deviation s (with n - 1). NaN for a single sample.
    """

    mean: float
    standard_error: float


@overload
def hessian_trace(
    model: keras.Model,
    data: Data | MeanLoss,
    samples: int = ...,
    *,
    by: None = ...,
    **options: Unpack[Options],
) -> Trace: ...
@overload
def hessian_trace(
    model: keras.Model,
    data: Data | MeanLoss,
    samples: int = ...,
    *,
    by: By,
    **options: Unpack[Options],
) -> dict[str, Trace]: ...
def hessian_trace(
    model: keras.Model,
    data: Data | MeanLoss,
    samples: int = 20,
    *,
    by: By | None = None,
    seed: int = 0,
    batch_size: int = 32,
    batches: int | None = None,
    verbose: int = 0,
) -> Trace | dict[str, Trace]:
    """An estimate of the trace of the Hessian of the loss, the sum of its eigenvalues.

    `tr H = E[zᵀ H z]` for vectors z of independent signs, each + or - with probability 1/2. The
    estimate is the mean over `samples` vectors. Each takes one product with H, as in
    `hessian_spectrum`. The variance of `zᵀ H z` is twice the sum of the squares of H's entries off
    the diagonal.

    `by="layer"` estimates the trace of each layer's block of H, the rows and columns of the layer's
    weights: `tr H_l = E[z_lᵀ (H z)_l]`, with the layer's parts of z and H z. The same products
    serve all layers. So it takes no longer, and the layers' estimates add up to the whole one. The
    squares of H's entries between the layer and the others add to the variance.

    Args:
        model: A compiled `keras.Model`, sharpness-aware or not. It does not change.
        data: A tuple of arrays, a `tf.data.Dataset` of batches, or whatever else `fit` takes, as in
            `MeanLoss`. Or a `MeanLoss`, which several measures may share.
        samples: Number of vectors: int >= 1.
        by: `"layer"` measures each layer that has trainable variables of its own. None measures the
            whole network.
        seed: Seed of the vectors: int >= 0.
        batch_size: Examples in a batch of arrays: int >= 1.
        batches: Number of batches to read, the first ones: int >= 1. None reads all.
        verbose: 1 shows a progress bar, 0 shows none.

    Returns:
        A `Trace`: the estimate and its standard error. With `by="layer"`, a dict of them by
        `layer.path`, in the order of `model.trainable_variables`. A variable belongs to the layer
        that made it, inside nested models and other layers too, or to the model. Where two layers
        have one path, the second has `_1` at its end.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range; or what
            `MeanLoss` raises.
        FloatingPointError: The Hessian is not finite.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.layers.Dense(1, use_bias=False)])
    >>> model.compile("sgd", "mse")
    >>> x = np.diag([1.0, 3.0])  # of (w₁² + 9 w₂²) / 2
    >>> hessian_trace(model, (x, np.zeros((2, 1))), samples=3)
    Trace(mean=10.0, standard_error=0.0)

    Reference:
        Hutchinson, "A stochastic estimator of the trace of the influence matrix", 1990.
    """
    samples, seed, verbose, by = checked(samples=samples, seed=seed, verbose=verbose, by=by)
    mean = mean_loss(model, data, batch_size, batches)
    progress = keras.utils.Progbar(samples, verbose=verbose, unit_name="sample")
    rng, values = np.random.default_rng(seed), []
    parts = {"": slice(None)}
    if by is not None:
        parts = {path: block.places for path, block in blocks.of_layers(mean).items()}
    for _ in range(samples):
        signs = rng.choice([-1.0, 1.0], size=mean.size)
        terms = signs * mean.product(signs)
        values.append([terms[places].sum() for places in parts.values()])
        progress.add(1)
    traces = {path: _estimate(of) for path, of in zip(parts, np.transpose(values), strict=True)}
    return traces[""] if by is None else traces


def _estimate(values):
    n = len(values)
    error = np.std(values, ddof=1) / np.sqrt(n) if n > 1 else np.nan
    return Trace(float(np.mean(values)), float(error))

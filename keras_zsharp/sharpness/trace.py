import typing

import keras
import numpy as np

from keras_zsharp.sharpness.checks import checked
from keras_zsharp.sharpness.objective import mean_loss


class Trace(typing.NamedTuple):
    """An estimated trace.

    Attributes:
        mean: The estimate.
        standard_error: Its standard error: the samples' standard deviation (n - 1) by sqrt(n); NaN
            of a single sample.
    """

    mean: float
    standard_error: float


def hessian_trace(model, data, samples=20, *, seed=0, batch_size=32, batches=None, verbose=0):
    """The trace of the Hessian of the loss, estimated: the sum of its eigenvalues.

    `tr H = E[zᵀ H z]` for vectors z of independent, evenly distributed signs; the mean over
    `samples` of them. Each takes one product with H, as in `hessian_spectrum`. The variance of one
    is twice the sum of the squares of H's entries off the diagonal.

    Args:
        model: A compiled `keras.Model`, sharpness-aware or not; nothing of it changes.
        data: A `tf.data.Dataset` of batches or a tuple of arrays, see `MeanLoss`; or a `MeanLoss`.
        samples: int >= 1, number of vectors.
        seed: Seed of these, int >= 0.
        batch_size: int >= 1, for arrays: examples per batch.
        batches: int >= 1: only the first so many batches, or None: all.
        verbose: 1 shows a progress bar, 0 none.

    Returns:
        A `Trace`: the mean and its standard error.

    Raises:
        TypeError, ValueError: An argument is outside of its bounds, or as `MeanLoss` says.
        FloatingPointError: The Hessian is not finite.

    Source: Hutchinson, "A stochastic estimator of the trace of the influence matrix", 1990.

    >>> import keras
    >>> model = keras.Sequential([keras.layers.Dense(1, use_bias=False)])
    >>> model.compile("sgd", "mse")
    >>> x = np.diag([1.0, 3.0])  # of (w₁² + 9 w₂²) / 2
    >>> hessian_trace(model, (x, np.zeros((2, 1))), samples=3)
    Trace(mean=10.0, standard_error=0.0)
    """
    samples, seed, verbose = checked(samples=samples, seed=seed, verbose=verbose)
    mean = mean_loss(model, data, batch_size, batches)
    progress = keras.utils.Progbar(samples, verbose=verbose, unit_name="sample")
    rng, values = np.random.default_rng(seed), []
    for _ in range(samples):
        signs = rng.choice([-1.0, 1.0], size=mean.size)
        values.append(signs @ mean.product(signs))
        progress.add(1)
    error = np.std(values, ddof=1) / np.sqrt(samples) if samples > 1 else np.nan
    return Trace(float(np.mean(values)), float(error))

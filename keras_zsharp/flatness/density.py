from __future__ import annotations

from typing import TYPE_CHECKING, overload

import keras
import numpy as np

from keras_zsharp.flatness import blocks
from keras_zsharp.flatness.blocks import Block, By
from keras_zsharp.flatness.checks import Options, checked
from keras_zsharp.flatness.lanczos import quadrature
from keras_zsharp.flatness.objective import MeanLoss, mean_loss
from keras_zsharp.flatness.smoothed import SpectralDensity, smoothed
from keras_zsharp.typing import Data

if TYPE_CHECKING:
    from typing_extensions import Unpack


class DensityOptions(Options, total=False):
    """The keyword arguments that do not decide what is returned."""

    sigma: float | None
    points: int


@overload
def spectral_density(
    model: keras.Model,
    data: Data | MeanLoss,
    samples: int = ...,
    lanczos_steps: int = ...,
    *,
    by: None = ...,
    **options: Unpack[DensityOptions],
) -> SpectralDensity: ...
@overload
def spectral_density(
    model: keras.Model,
    data: Data | MeanLoss,
    samples: int = ...,
    lanczos_steps: int = ...,
    *,
    by: By,
    **options: Unpack[DensityOptions],
) -> dict[str, SpectralDensity]: ...
def spectral_density(
    model: keras.Model,
    data: Data | MeanLoss,
    samples: int = 5,
    lanczos_steps: int = 50,
    *,
    by: By | None = None,
    sigma: float | None = None,
    points: int = 1001,
    seed: int = 0,
    batch_size: int = 32,
    batches: int | None = None,
    verbose: int = 0,
) -> SpectralDensity | dict[str, SpectralDensity]:
    """An estimate of how the eigenvalues of the Hessian of the loss are distributed, all of them.

    Each of the n eigenvalues is a normal distribution of standard deviation `sigma`:

        p(t) = 1/n sum_i N(t; lambda_i, sigma²)
             = E[sum_j w_j N(t; x_j, sigma²)]

    The mean is over vectors z of n independent signs. For each, Lanczos' method with
    m = `lanczos_steps` products H z finds m nodes x and weights w, which sum to 1. It is a
    quadrature: for polynomials f of degree below 2 m, `sum_j w_j f(x_j) = zᵀ f(H) z / n`. So the
    mean of the nodes times n is `hessian_trace` of the same samples and seed. The outermost nodes
    are near the extreme eigenvalues. Between them the density is right for a `sigma` that spans
    several nodes; a smaller one shows bumps at the nodes instead.

    It takes `samples * lanczos_steps` products, each as in `hessian_spectrum`, and keeps
    `lanczos_steps` vectors of n float32 numbers in memory.

    Args:
        model: A compiled `keras.Model`, sharpness-aware or not. It does not change.
        data: A tuple of arrays, a `tf.data.Dataset` of batches, or whatever else `fit` takes, as in
            `MeanLoss`. Or a `MeanLoss`, which several measures may share.
        samples: Number of vectors: int >= 1. The density's error falls with their square root, and
            with that of n.
        lanczos_steps: Products for each vector: int >= 1. There are as many nodes, m, or as many as
            weights, where these are fewer.
        by: `"layer"` measures each layer's block of the Hessian, as in `hessian_spectrum`. None
            measures the whole network.
        sigma: Standard deviation of the smoothing, > 0, in the units of the eigenvalues. None takes
            a hundredth of the range of the nodes and 0.
        points: Number of values in the grid, evenly spaced from `4 sigma` below the nodes to
            `4 sigma` above: int >= 2. With a `sigma` of less than the space between two, the
            grid misses parts of the density.
        seed: Seed of the vectors: int >= 0.
        batch_size: Examples in a batch of arrays: int >= 1.
        batches: Number of batches to read, the first ones: int >= 1. None reads all.
        verbose: 1 shows the number of products so far, 0 shows nothing.

    Returns:
        A `SpectralDensity`. Its method `plot` draws it. With `by="layer"`, a dict of them by
        `layer.path`, as in `hessian_trace`.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range; or what
            `MeanLoss` raises.
        FloatingPointError: The Hessian is not finite.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.layers.Dense(1, use_bias=False)])
    >>> model.compile("sgd", "mse")
    >>> x = np.diag([1.0, 3.0])  # of (w₁² + 9 w₂²) / 2
    >>> found = spectral_density(model, (x, np.zeros((2, 1))), samples=1)
    >>> found.nodes.round(3), found.weights.round(3)
    (array([[1., 9.]]), array([[0.5, 0.5]]))

    Reference:
        Ghorbani, Krishnan and Xiao, "An Investigation into Neural Net Optimization via Hessian
        Eigenvalue Density", ICML 2019; Yao et al., "PyHessian: Neural Networks Through the Lens of
        the Hessian", 2020. The signs are PyHessian's; Ghorbani et al. draw from a normal
        distribution.
    """
    samples, lanczos_steps, by = checked(samples=samples, lanczos_steps=lanczos_steps, by=by)
    sigma, points = checked(sigma=sigma, points=points)
    seed, verbose = checked(seed=seed, verbose=verbose)
    mean = mean_loss(model, data, batch_size, batches)
    progress = keras.utils.Progbar(None, verbose=verbose, unit_name="product")

    def density(hessian: MeanLoss | Block) -> SpectralDensity:
        def product(vector):
            progress.add(1)
            return hessian.product(vector)

        rng = np.random.default_rng(seed)
        signs = (rng.choice([-1.0, 1.0], size=hessian.size) for _ in range(samples))
        found = [quadrature(product, vector, lanczos_steps) for vector in signs]
        nodes, weights = map(np.stack, zip(*found, strict=True))
        return smoothed(nodes, weights, sigma, points, hessian.size)

    return blocks.measured(mean, by, density)

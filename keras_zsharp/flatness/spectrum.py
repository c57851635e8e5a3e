from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import keras
import numpy as np

from keras_zsharp.flatness import blocks
from keras_zsharp.flatness.blocks import Block, By
from keras_zsharp.flatness.checks import Options, checked
from keras_zsharp.flatness.lanczos import dense, lanczos
from keras_zsharp.flatness.objective import MeanLoss, mean_loss
from keras_zsharp.typing import Data

if TYPE_CHECKING:
    from typing_extensions import Unpack

Which: TypeAlias = Literal["LA", "SA", "LM"]
Eigenpairs: TypeAlias = tuple[np.ndarray, list[list[np.ndarray]]]

ORDERS = {"LA": lambda values: -values, "SA": lambda values: values, "LM": lambda v: -np.abs(v)}


class SpectrumOptions(Options, total=False):
    """The keyword arguments that do not decide what is returned."""

    tol: float
    restarts: int


@overload
def hessian_spectrum(
    model: keras.Model,
    data: Data | MeanLoss,
    k: int = ...,
    which: Which = ...,
    *,
    by: None = ...,
    eigenvectors: Literal[False] = ...,
    **options: Unpack[SpectrumOptions],
) -> np.ndarray: ...
@overload
def hessian_spectrum(
    model: keras.Model,
    data: Data | MeanLoss,
    k: int = ...,
    which: Which = ...,
    *,
    by: None = ...,
    eigenvectors: Literal[True],
    **options: Unpack[SpectrumOptions],
) -> Eigenpairs: ...
@overload
def hessian_spectrum(
    model: keras.Model,
    data: Data | MeanLoss,
    k: int = ...,
    which: Which = ...,
    *,
    by: By,
    eigenvectors: Literal[False] = ...,
    **options: Unpack[SpectrumOptions],
) -> dict[str, np.ndarray]: ...
@overload
def hessian_spectrum(
    model: keras.Model,
    data: Data | MeanLoss,
    k: int = ...,
    which: Which = ...,
    *,
    by: By,
    eigenvectors: Literal[True],
    **options: Unpack[SpectrumOptions],
) -> dict[str, Eigenpairs]: ...
def hessian_spectrum(
    model: keras.Model,
    data: Data | MeanLoss,
    k: int = 5,
    which: Which = "LA",
    *,
    by: By | None = None,
    eigenvectors: bool = False,
    tol: float = 1e-4,
    restarts: int = 100,
    seed: int = 0,
    batch_size: int = 32,
    batches: int | None = None,
    verbose: int = 0,
) -> np.ndarray | Eigenpairs | dict[str, np.ndarray] | dict[str, Eigenpairs]:
    """The extreme eigenvalues of the Hessian of the loss.

    `H = d²L / dw²` at w, where L is the loss over all of `data`, and w all trainable weights.
    Lanczos' method (ARPACK) finds the eigenvalues from products `H v`, without H itself. A product
    takes one evaluation of `data`, about four times as long as the loss does. The method takes
    some `max(2k + 1, 20)` products, and several times as many where it does not converge at once.
    A network with no more weights than that has its whole H computed.

    `by="layer"` finds the eigenvalues of each layer's block of H, the rows and columns of the
    layer's weights. Each block takes as many products as the whole H. None of its eigenvalues is
    above the largest one of H, or below the smallest.

    Args:
        model: A compiled `keras.Model`, sharpness-aware or not. It does not change.
        data: A tuple of arrays, a `tf.data.Dataset` of batches, or whatever else `fit` takes, as in
            `MeanLoss`. Or a `MeanLoss`, which several measures may share.
        k: Number of eigenvalues: int >= 1. Fewer are returned where there are fewer weights.
        which: `"LA"` is the algebraically largest ones, in descending order; `"SA"` the smallest
            ones, in ascending order; `"LM"` those of the largest size, of either sign, in
            descending order of size.
        by: `"layer"` measures each layer that has trainable variables of its own. None measures the
            whole network.
        eigenvectors: Whether to return the eigenvectors, too.
        tol: Relative accuracy of the eigenvalues, > 0. The products are in float32, which allows
            about 1e-6.
        restarts: How often Lanczos' method may restart: int >= 1.
        seed: Seed of the vector that Lanczos' method starts from: int >= 0.
        batch_size: Examples in a batch of arrays: int >= 1.
        batches: Number of batches to read, the first ones: int >= 1. None reads all.
        verbose: 1 shows the number of products so far, 0 shows nothing.

    Returns:
        A float64 array of shape (k,). With `eigenvectors`, a tuple of it and a list of k
        eigenvectors of length 1. Each is a list of arrays shaped like `model.trainable_variables`.
        With `by="layer"`, a dict of such by `layer.path`, as in `hessian_trace`; its eigenvectors
        are shaped like the layer's own variables.

    Raises:
        ImportError: scipy is missing.
        TypeError, ValueError: An argument is of the wrong type, or outside of its range; or what
            `MeanLoss` raises.
        FloatingPointError: The Hessian is not finite.
        RuntimeError: Not all eigenvalues converged.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.layers.Dense(1, use_bias=False)])
    >>> model.compile("sgd", "mse")
    >>> x = np.diag([1.0, 3.0])  # of (w₁² + 9 w₂²) / 2
    >>> hessian_spectrum(model, (x, np.zeros((2, 1))), k=2)
    array([9., 1.])

    Reference:
        Lehoucq, Sorensen and Yang, "ARPACK Users' Guide", 1998. The products are as in Pearlmutter,
        "Fast exact multiplication by the Hessian", 1994.
    """
    k, which, tol, by = checked(k=k, which=which, tol=tol, by=by)
    eigenvectors, restarts = checked(eigenvectors=eigenvectors, restarts=restarts)
    seed, verbose = checked(seed=seed, verbose=verbose)
    mean = mean_loss(model, data, batch_size, batches)
    progress = keras.utils.Progbar(None, verbose=verbose, unit_name="product")

    def spectrum(hessian: MeanLoss | Block) -> Any:
        def product(vector):
            progress.add(1)
            return hessian.product(vector)

        if hessian.size <= max(2 * k + 1, 20):
            values, vectors = dense(product, hessian.size)
        else:
            start = np.random.default_rng(seed).normal(size=hessian.size)
            values, vectors = lanczos(product, start, k, which, tol, restarts)
        order = np.argsort(ORDERS[which](values), kind="stable")[:k]
        if not eigenvectors:
            return values[order]
        return values[order], [hessian.shaped(vectors[:, i]) for i in order]

    return blocks.measured(mean, by, spectrum)

import keras
import numpy as np

from keras_zsharp.sharpness.checks import checked
from keras_zsharp.sharpness.objective import mean_loss

ORDERS = {"LA": lambda values: -values, "SA": lambda values: values, "LM": lambda v: -np.abs(v)}


def hessian_spectrum(
    model,
    data,
    k=5,
    which="LA",
    *,
    eigenvectors=False,
    tol=1e-4,
    restarts=100,
    seed=0,
    batch_size=32,
    batches=None,
    verbose=0,
):
    """The extreme eigenvalues of the Hessian of the loss.

    Eigenvalues of `H = d²L / dw²` at w, L being the loss over all of `data`, w all trainable
    weights. By Lanczos' method (ARPACK) on products `H v`, each of which takes one evaluation of
    `data`, about four times as long as that of the loss; H itself is never there. It takes some
    `max(2k + 1, 20)` of them and, where it does not converge at once, several times as many. With
    no more weights than that, H is computed as a whole.

    Args:
        model: A compiled `keras.Model`, sharpness-aware or not; nothing of it changes.
        data: A `tf.data.Dataset` of batches or a tuple of arrays, see `MeanLoss`; or a `MeanLoss`.
        k: int >= 1, number of eigenvalues; fewer are returned where there are fewer weights.
        which: `"LA"`: the algebraically largest, in descending order; `"SA"`: the smallest, in
            ascending order; `"LM"`: the largest in size, of either sign, in descending order.
        eigenvectors: Whether to return the eigenvectors too.
        tol: Relative accuracy of the eigenvalues, > 0. The products are of float32: 1e-6 is about
            what they allow.
        restarts: int >= 1, how often Lanczos' method may start again.
        seed: Seed of the vector it starts from, an int.
        batch_size: int >= 1, for arrays: examples per batch.
        batches: int >= 1: only the first so many batches, or None: all.
        verbose: 1 shows the number of products so far, 0 nothing.

    Returns:
        float64 array of shape (k,). With `eigenvectors`, that and a list of k eigenvectors of
        length 1, each a list of arrays shaped like `model.trainable_variables`.

    Raises:
        ImportError: scipy is missing.
        TypeError, ValueError: An argument is outside of its bounds, or as `MeanLoss` says.
        FloatingPointError: The Hessian is not finite.
        RuntimeError: Not all eigenvalues converged.

    Source: Lehoucq, Sorensen and Yang, "ARPACK Users' Guide", 1998; products as in Pearlmutter,
    "Fast exact multiplication by the Hessian", 1994.

    >>> import keras
    >>> model = keras.Sequential([keras.layers.Dense(1, use_bias=False)])
    >>> model.compile("sgd", "mse")
    >>> x = np.diag([1.0, 3.0])  # of (w₁² + 9 w₂²) / 2
    >>> hessian_spectrum(model, (x, np.zeros((2, 1))), k=2)
    array([9., 1.])
    """
    k, which, tol = checked(k=k, which=which, tol=tol)
    eigenvectors, restarts = checked(eigenvectors=eigenvectors, restarts=restarts)
    seed, verbose = checked(seed=seed, verbose=verbose)
    mean = mean_loss(model, data, batch_size, batches)
    progress = keras.utils.Progbar(None, verbose=verbose, unit_name="product")

    def product(vector):
        progress.add(1)
        return mean.product(vector)

    if mean.size <= max(2 * k + 1, 20):
        values, vectors = _dense(product, mean.size)
    else:
        start = np.random.default_rng(seed).normal(size=mean.size)
        values, vectors = _lanczos(product, start, k, which, tol, restarts)
    order = np.argsort(ORDERS[which](values), kind="stable")[:k]
    if not eigenvectors:
        return values[order]
    return values[order], [mean.shaped(vectors[:, i]) for i in order]


def _dense(product, size):
    hessian = np.stack([product(row) for row in np.eye(size)])
    return np.linalg.eigh((hessian + hessian.T) / 2)


def _lanczos(product, start, k, which, tol, restarts):
    try:
        from scipy.sparse import linalg
    except ImportError as error:
        raise ImportError(
            "Lanczos' method is that of scipy: pip install 'keras-zsharp[sharpness]'"
        ) from error
    shape = (len(start), len(start))
    hessian = linalg.LinearOperator(shape, matvec=product, dtype="float64")
    try:
        return linalg.eigsh(hessian, k, which=which, v0=start, tol=tol, maxiter=restarts)
    except linalg.ArpackNoConvergence as error:
        raise RuntimeError(
            f"{len(error.eigenvalues)} of {k} eigenvalues converged: allow a larger `tol` or more "
            f"`restarts`. Received: tol={tol}, restarts={restarts}"
        ) from error

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

Product: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""A vector's product with a symmetric matrix."""


def dense(product: Product, size: int) -> tuple[np.ndarray, np.ndarray]:
    """All eigenvalues and eigenvectors of a small matrix."""
    hessian = np.stack([product(row) for row in np.eye(size)])
    return np.linalg.eigh((hessian + hessian.T) / 2)


def lanczos(
    product: Product, start: np.ndarray, k: int, which: str, tol: float, restarts: int
) -> tuple[np.ndarray, np.ndarray]:
    """The extreme eigenvalues, k of them, and their eigenvectors, by Lanczos' method."""
    try:
        from scipy.sparse import linalg
    except ImportError as error:
        raise ImportError(
            "`hessian_spectrum` needs scipy: pip install 'keras-zsharp[flatness]'"
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


def quadrature(product: Product, start: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The nodes x and weights w of `vᵀ f(H) v = sum_j w_j f(x_j)`, for `v = start / ‖start‖`.

    It is Gauss' quadrature, exact where f is a polynomial of degree below 2 m, of m nodes. They are
    the eigenvalues of the tridiagonal matrix of m steps of Lanczos' method, with each new vector
    made orthogonal to all before. Where these span all that H makes of v, the other nodes weigh 0.

    Returns:
        Two float64 arrays of shape (m,), with `m = min(steps, len(start))`. The weights sum to 1.
    """
    steps = min(steps, len(start))
    basis = np.zeros((steps, len(start)), "float32")  # as precise as the products
    basis[0] = start / np.linalg.norm(start)
    diagonal, below = np.zeros(steps), np.zeros(steps - 1)
    for i in range(steps):
        residual = product(basis[i]).astype("float32")
        diagonal[i] = basis[i] @ residual
        if i == steps - 1:
            break
        for _ in range(2):  # Once leaves the rounding errors of what it takes away.
            residual -= basis[: i + 1].T @ (basis[: i + 1] @ residual)
        length = np.linalg.norm(residual)
        if length <= 1e-6 * max(np.abs(diagonal).max(), below.max()):
            diagonal[i + 1 :] = diagonal[0]  # within the range of the eigenvalues
            break
        below[i], basis[i + 1] = length, residual / length
    nodes, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(below, -1))
    return nodes, vectors[0] ** 2

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

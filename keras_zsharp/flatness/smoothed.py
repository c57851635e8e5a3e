from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from keras_zsharp.flatness import drawing
from keras_zsharp.typing import Path

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclasses.dataclass(frozen=True)
class SpectralDensity:
    """The density of the Hessian's eigenvalues, as `spectral_density` estimates it.

    Attributes:
        grid: float64 array of shape (points,), ascending: eigenvalues, in units of the loss.
        density: float64 array of shape (points,): the density at them, >= 0. Its integral is 1.
        nodes: float64 array of shape (samples, m), ascending in each row: where each vector's
            quadrature puts weight.
        weights: float64 array of shape (samples, m), >= 0. Each row sums to 1. The estimate of
            `sum_i f(lambda_i)` of any f is `size * (weights * f(nodes)).sum() / samples`.
        sigma: Standard deviation of the smoothing, > 0, in the units of the eigenvalues.
        size: The number of weights, which is that of the eigenvalues, n.
    """

    grid: np.ndarray
    density: np.ndarray
    nodes: np.ndarray
    weights: np.ndarray
    sigma: float
    size: int

    def plot(self, path: Path | None = None, axes: Axes | None = None) -> Axes:
        """Draws the density, on a logarithmic axis down to a tenth of a single eigenvalue's.

        Args:
            path: File to save the figure to, such as `"density.png"`. None saves nothing.
            axes: matplotlib axes to draw into. None makes a figure.

        Returns:
            The axes; `axes.figure` is the figure.

        Raises:
            ImportError: matplotlib is missing.
        """
        axes = drawing.axes_of(axes, 6, 4)
        lowest = 0.1 / (self.size * self.sigma * np.sqrt(2 * np.pi))
        axes.semilogy(self.grid, np.maximum(self.density, lowest))
        axes.set_ylim(bottom=lowest)
        axes.set_xlabel("eigenvalue of the Hessian")
        axes.set_ylabel("density")
        drawing.save(axes, path)
        return axes


def smoothed(
    nodes: np.ndarray, weights: np.ndarray, sigma: float | None, points: int, size: int
) -> SpectralDensity:
    """The density of the nodes by their weights, on a grid around them."""
    low, high = nodes.min(), nodes.max()
    if sigma is None:
        # Where all eigenvalues are 0, any width will do.
        sigma = float(0.01 * (max(high, 0) - min(low, 0)) or 1.0)
    grid = np.linspace(low - 4 * sigma, high + 4 * sigma, points)
    density = np.zeros(points)
    for node, weight in zip(nodes.ravel(), weights.ravel() / len(nodes), strict=True):
        density += weight * np.exp(-(((grid - node) / sigma) ** 2) / 2)
    return SpectralDensity(
        grid, density / (sigma * np.sqrt(2 * np.pi)), nodes, weights, sigma, size
    )

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_zsharp.flatness import drawing
from keras_zsharp.flatness.checks import checked
from keras_zsharp.flatness.directions import plane
from keras_zsharp.flatness.objective import MeanLoss, mean_loss
from keras_zsharp.typing import Data, Path

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclasses.dataclass(frozen=True)
class Landscape:
    """Losses on a plane through the weights: `losses[i, j] = L(w + alphas[i] d1 + betas[j] d2)`.

    Attributes:
        alphas: float64 array of shape (points,), ascending: positions along the first direction d1.
        betas: float64 array of shape (points,), ascending: positions along the second direction d2.
        losses: float64 array of shape (points, points).
    """

    alphas: np.ndarray
    betas: np.ndarray
    losses: np.ndarray

    def plot(self, path: Path | None = None, axes: Axes | None = None) -> Axes:
        """Draws the losses as contours, with a cross at w. Losses that are not finite stay white.

        The levels are logarithmic where the highest loss is more than 10 times the lowest.

        Args:
            path: File to save the figure to, such as `"landscape.png"`. None saves nothing.
            axes: matplotlib axes to draw into. None makes a figure.

        Returns:
            The axes; `axes.figure` is the figure.

        Raises:
            ImportError: matplotlib is missing.
            ValueError: None of the losses is finite.
        """
        grid = self.alphas, self.betas, np.ma.masked_invalid(self.losses.T)
        if grid[2].count() == 0:
            raise ValueError("`losses` must hold at least one finite loss. Received: none")
        levels, logarithmic = _levels(grid[2].min(), grid[2].max())
        axes = drawing.axes_of(axes, 6, 5)
        norm = "log" if logarithmic else None
        filled = axes.contourf(*grid, levels, cmap="viridis", norm=norm)
        axes.contour(*grid, levels[::2], colors="white", linewidths=0.5, alpha=0.6)
        axes.figure.colorbar(filled, ax=axes, ticks=levels[::4], format="%.3g", label="loss")
        axes.plot(0, 0, "+", color="red", markersize=12, markeredgewidth=2, label="w")
        axes.legend(loc="upper right")
        axes.set_xlabel(r"$\alpha$, along the first direction")
        axes.set_ylabel(r"$\beta$, along the second direction")
        axes.set_aspect("equal")
        drawing.save(axes, path)
        return axes


def _levels(low, high):
    """The losses at which the color changes, and whether they are logarithmic."""
    if high <= low:  # A constant loss has two levels around it.
        return np.array([low - 0.5, low + 0.5]), False
    if low > 0 and high > 10 * low:
        return np.geomspace(low, high, 25), True
    return np.linspace(low, high, 25), False


def loss_landscape(
    model: keras.Model,
    data: Data | MeanLoss,
    extent: float = 1.0,
    points: int = 21,
    directions: Sequence[Sequence[np.ndarray]] | None = None,
    *,
    seed: int = 0,
    batch_size: int = 32,
    batches: int | None = None,
    verbose: int = 0,
) -> Landscape:
    """The loss on a plane through the weights, along two random directions.

    `L(w + a d1 + b d2)` for a and b from `-extent` to `extent`. Both directions are drawn from a
    normal distribution. Each filter of a direction is then scaled to the length of the same filter
    of the weights: `d <- d ‖w‖ / ‖d‖`. So networks whose weights differ in scale can be compared. A
    filter is the slice of a variable at one index of its last axis: one output channel of a
    convolution, one unit of a dense layer. Variables of rank below 2 (biases, BatchNormalization's
    gains) do not move. It takes `points²` evaluations of `data`.

    Args:
        model: A compiled `keras.Model`, sharpness-aware or not. It does not change.
        data: A tuple of arrays, a `tf.data.Dataset` of batches, or whatever else `fit` takes, as in
            `MeanLoss`. Or a `MeanLoss`, which several measures may share.
        extent: The largest a and b, > 0. At 1, the filters move by their own lengths.
        points: Number of values of a and of b, evenly spaced: int >= 2. Odd numbers include w.
        directions: Two directions of your own, taken as they are, such as eigenvectors from
            `hessian_spectrum`. Each is a list of arrays shaped like `model.trainable_variables`.
            None draws two.
        seed: Seed of the random directions: int >= 0.
        batch_size: Examples in a batch of arrays: int >= 1.
        batches: Number of batches to read, the first ones: int >= 1. None reads all.
        verbose: 1 shows a progress bar, 0 shows none.

    Returns:
        A `Landscape`. Its method `plot` draws it.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range; or what
            `MeanLoss` raises.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    >>> model.compile("sgd", "mse")
    >>> data = np.ones((4, 1)), np.zeros((4, 1))
    >>> loss_landscape(model, data, points=3).losses.shape
    (3, 3)

    Reference:
        Li et al., "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018, section 4.
    """
    extent, points, directions = checked(extent=extent, points=points, directions=directions)
    seed, verbose = checked(seed=seed, verbose=verbose)
    mean = mean_loss(model, data, batch_size, batches)
    first, second = plane(mean, directions, seed)
    values = np.linspace(-extent, extent, points)
    progress = keras.utils.Progbar(points**2, verbose=verbose, unit_name="point")
    losses = np.empty((points, points))
    for i, alpha in enumerate(values):
        for j, beta in enumerate(values):
            losses[i, j] = mean.loss(alpha * first + beta * second)
            progress.add(1)
    return Landscape(values, values, losses)

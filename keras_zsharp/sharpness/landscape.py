import dataclasses

import keras
import numpy as np

from keras_zsharp.sharpness.checks import checked
from keras_zsharp.sharpness.directions import plane
from keras_zsharp.sharpness.objective import mean_loss


@dataclasses.dataclass(frozen=True)
class Landscape:
    """Losses on a plane through the weights: `losses[i, j] = L(w + alphas[i] d1 + betas[j] d2)`.

    Attributes:
        alphas: float64 array of shape (points,), ascending.
        betas: The same along the other direction.
        losses: float64 array of shape (points, points).
    """

    alphas: np.ndarray
    betas: np.ndarray
    losses: np.ndarray

    def plot(self, path=None, axes=None):
        """Draws the losses as contours, with a cross at w; losses that are not finite stay white.

        Where the highest is more than 10 times the lowest, the levels are logarithmic.

        Args:
            path: File to save the picture to, such as `"landscape.png"`, or None.
            axes: matplotlib axes to draw into; None makes a figure.

        Returns:
            The axes; `axes.figure` is the figure.

        Raises:
            ImportError: matplotlib is missing.
            ValueError: No loss is finite.
        """
        try:
            from matplotlib import colors, figure
        except ImportError as error:
            raise ImportError(
                "Pictures are drawn by matplotlib: pip install 'keras-zsharp[sharpness]'"
            ) from error
        grid = self.alphas, self.betas, np.ma.masked_invalid(self.losses.T)
        if grid[2].count() == 0:
            raise ValueError("`losses` must hold a finite one to be drawn. Received: none")
        levels, logarithmic = _levels(grid[2].min(), grid[2].max())
        norm = colors.LogNorm() if logarithmic else None
        if axes is None:
            axes = figure.Figure(figsize=(6, 5)).add_subplot()
        filled = axes.contourf(*grid, levels, cmap="viridis", norm=norm)
        axes.contour(*grid, levels[::2], colors="white", linewidths=0.5, alpha=0.6)
        axes.figure.colorbar(filled, ax=axes, ticks=levels[::4], format="%.3g", label="loss")
        axes.plot(0, 0, "+", color="red", markersize=12, markeredgewidth=2, label="w")
        axes.legend(loc="upper right")
        axes.set_xlabel(r"$\alpha$, along the first direction")
        axes.set_ylabel(r"$\beta$, along the second direction")
        axes.set_aspect("equal")
        if path is not None:
            axes.figure.savefig(path, dpi=150, bbox_inches="tight")
        return axes


def _levels(low, high):
    """Losses between which to change the color, and whether they are logarithmic."""
    if high <= low:  # A constant loss is a picture too.
        return np.array([low - 0.5, low + 0.5]), False
    if low > 0 and high > 10 * low:
        return np.geomspace(low, high, 25), True
    return np.linspace(low, high, 25), False


def loss_landscape(
    model,
    data,
    extent=1.0,
    points=21,
    directions=None,
    *,
    seed=0,
    batch_size=32,
    batches=None,
    verbose=0,
):
    """The loss on a plane through the weights, along two random directions.

    `L(w + a d1 + b d2)`, a and b from `-extent` to `extent`. Both directions are normal, and each
    filter is then scaled to the length of the weights' own: `d <- d ‖w‖ / ‖d‖`, so that networks
    whose weights differ in scale can be compared. A filter is what belongs to one index of a
    variable's last axis: one output channel of a convolution, one unit of a dense layer. Variables
    of rank below 2 (biases, BatchNormalization's gains) do not move. It takes `points²` evaluations
    of `data`.

    Args:
        model: A compiled `keras.Model`, sharpness-aware or not; nothing of it changes.
        data: A `tf.data.Dataset` of batches or a tuple of arrays, see `MeanLoss`; or a `MeanLoss`.
        extent: How far to go, > 0; at 1, the directions are as long as the weights themselves.
        points: int >= 2, the number of values of a and of b, evenly spaced; odd ones include w.
        directions: Two directions of your own, taken as they are: each a list of arrays shaped like
            `model.trainable_variables`, such as eigenvectors from `hessian_spectrum`.
        seed: Seed of the random directions, an int.
        batch_size: int >= 1, for arrays: examples per batch.
        batches: int >= 1: only the first so many batches, or None: all.
        verbose: 1 shows a progress bar, 0 none.

    Returns:
        A `Landscape` of losses, which `plot`s itself.

    Raises:
        TypeError, ValueError: An argument is outside of its bounds, or as `MeanLoss` says.

    Source: Li et al., "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018, section 4.

    >>> import keras
    >>> model = keras.Sequential([keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    >>> model.compile("sgd", "mse")
    >>> data = np.ones((4, 1)), np.zeros((4, 1))
    >>> loss_landscape(model, data, points=3).losses.shape
    (3, 3)
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

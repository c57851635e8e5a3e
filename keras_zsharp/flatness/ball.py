from __future__ import annotations

import typing
from collections.abc import Iterator

import keras
import numpy as np

from keras_zsharp.flatness.checks import checked
from keras_zsharp.flatness.objective import MeanLoss, mean_loss
from keras_zsharp.typing import Data


class BallLoss(typing.NamedTuple):
    """What `ball_loss` found.

    Attributes:
        loss: L(w).
        ball_loss: The largest loss found in the ball. It is never less than `loss`.
        sharpness: `ball_loss - loss`, >= 0.
        random: The largest loss found in a random direction. None where none was tried.
    """

    loss: float
    ball_loss: float
    sharpness: float
    random: float | None


def ball_loss(
    model: keras.Model,
    data: Data | MeanLoss,
    rho: float = 0.05,
    steps: int = 5,
    random: int = 0,
    *,
    seed: int = 0,
    batch_size: int = 32,
    batches: int | None = None,
    verbose: int = 0,
) -> BallLoss:
    """The largest loss found within the distance `rho` of the weights.

    `max L(w + e)` over `‖e‖ <= rho`, with the norm over all trainable weights together.
    Sharpness-aware training makes it small. Projected gradient ascent from `e = 0` looks for it,
    with the gradient g of the loss over all of `data` at w + e:

        e <- P(e + rho g / ‖g‖),    P(e) = e min(1, rho / ‖e‖)

    The first step is SAM's perturbation. The ascent ends where a gradient is zero or not finite.
    The result is the largest loss of all steps and random directions. It is a lower bound of the
    maximum; each step raises it where the loss is a convex quadratic.

    It takes `steps + random + 1` evaluations of `data`, `steps` of them with gradients.

    Args:
        model: A compiled `keras.Model`, sharpness-aware or not. It does not change.
        data: A tuple of arrays, a `tf.data.Dataset` of batches, or whatever else `fit` takes, as in
            `MeanLoss`. Or a `MeanLoss`, which several measures may share.
        rho: Radius of the ball, >= 0.
        steps: Steps of the ascent: int >= 0. 1 measures SAM's perturbation.
        random: Number of random directions, uniform on the sphere of radius rho: int >= 0.
        seed: Seed of the random directions: int >= 0.
        batch_size: Examples in a batch of arrays: int >= 1.
        batches: Number of batches to read, the first ones: int >= 1. None reads all.
        verbose: 1 shows a progress bar, 0 shows none.

    Returns:
        A `BallLoss`. It is NaN where one of the losses is NaN.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range; or what
            `MeanLoss` raises.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((4, 1)), np.zeros((4, 1))
    >>> found = ball_loss(model, (x, y), rho=0.5)  # of w² at w = 1
    >>> found.loss, found.ball_loss, found.sharpness
    (1.0, 2.25, 1.25)

    Reference:
        Foret et al., "Sharpness-Aware Minimization for Efficiently Improving Generalization", ICLR
        2021, the inner problem of Eq. 1. Several steps are as in Madry et al., "Towards Deep
        Learning Models Resistant to Adversarial Attacks", ICLR 2018.
    """
    rho, steps, random = checked(rho=rho, steps=steps, random=random)
    seed, verbose = checked(seed=seed, verbose=verbose)
    mean = mean_loss(model, data, batch_size, batches)
    progress = keras.utils.Progbar(steps + random + 1, verbose=verbose, unit_name="evaluation")
    losses = []
    for loss in _ascent(mean, rho, steps):
        losses.append(loss)
        progress.update(len(losses))
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(random):
        drawn.append(mean.loss(_of_length(rho, rng.normal(size=mean.size))))
        progress.update(len(losses) + len(drawn))
    highest = float(np.max(losses + drawn))
    return BallLoss(
        loss=losses[0],
        ball_loss=highest,
        sharpness=highest - losses[0],
        random=float(np.max(drawn)) if drawn else None,
    )


def _ascent(mean: MeanLoss, rho: float, steps: int) -> Iterator[float]:
    """The losses at w and after every step."""
    shift = np.zeros(mean.size)
    for _ in range(steps):
        loss, gradient = mean.gradient(shift)
        yield loss
        norm = np.linalg.norm(gradient)
        if not (np.isfinite(norm) and norm > 0):
            return
        shift = shift + gradient * (rho / norm)
        norm = np.linalg.norm(shift)
        if norm > rho:
            shift *= rho / norm
    yield mean.loss(shift)


def _of_length(rho, vector):
    return vector * (rho / np.linalg.norm(vector))

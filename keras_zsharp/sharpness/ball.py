import typing

import keras
import numpy as np

from keras_zsharp.sharpness.checks import checked
from keras_zsharp.sharpness.objective import mean_loss


class BallLoss(typing.NamedTuple):
    """What `ball_loss` found.

    Attributes:
        loss: L(w).
        ball_loss: The largest loss found in the ball; never less than `loss`.
        sharpness: `ball_loss - loss`, >= 0.
        random: The largest loss found in a random direction; None where none was tried.
    """

    loss: float
    ball_loss: float
    sharpness: float
    random: float | None


def ball_loss(
    model,
    data,
    rho=0.05,
    steps=5,
    random=0,
    *,
    seed=0,
    batch_size=32,
    batches=None,
    verbose=0,
):
    """The largest loss found within the distance `rho` of the weights.

    `max L(w + e)` over `‖e‖ <= rho`, the norm taken over all trainable weights together: what
    sharpness-aware training makes small. It is searched for by projected gradient ascent from
    `e = 0`, with the gradient g of the loss over all of `data` at w + e:

        e <- P(e + rho g / ‖g‖),    P(e) = e min(1, rho / ‖e‖)

    The first step is SAM's perturbation. What is returned is the best of all steps and random
    directions: a lower bound of the maximum, which for a convex quadratic every step comes nearer
    to. Where a gradient is zero or not finite, the ascent ends.

    It takes `steps + random + 1` evaluations of `data`, `steps` of them with gradients.

    Args:
        model: A compiled `keras.Model`, sharpness-aware or not; nothing of it changes.
        data: A `tf.data.Dataset` of batches or a tuple of arrays, see `MeanLoss`; or a `MeanLoss`.
        rho: Radius of the ball, >= 0.
        steps: int >= 0, steps of the ascent; 1 measures SAM's perturbation.
        random: int >= 0, directions drawn evenly from the sphere of radius rho.
        seed: Seed of these, int >= 0.
        batch_size: int >= 1, for arrays: examples per batch.
        batches: int >= 1: only the first so many batches, or None: all.
        verbose: 1 shows a progress bar, 0 none.

    Returns:
        A `BallLoss`. A loss of NaN that is met makes it NaN.

    Raises:
        TypeError, ValueError: An argument is outside of its bounds, or as `MeanLoss` says.

    Source: the inner problem of Foret et al., "Sharpness-Aware Minimization", ICLR 2021, Eq. 1;
    several steps as in Madry et al., ICLR 2018.

    >>> import keras
    >>> model = keras.Sequential([keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((4, 1)), np.zeros((4, 1))
    >>> found = ball_loss(model, (x, y), rho=0.5)  # of w² at w = 1
    >>> found.loss, found.ball_loss, found.sharpness
    (1.0, 2.25, 1.25)
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


def _ascent(mean, rho, steps):
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

"""Augmentation of whole batches of images in NumPy, as `augmentation` does it in TensorFlow."""

from __future__ import annotations

import numpy as np


def crop_and_flip(
    images: np.ndarray, random: np.random.Generator, padding: int = 4, flip: bool = True
) -> np.ndarray:
    """A random crop of each image with zeros around it, mirrored with probability 1/2.

    Args:
        images: Array of shape (batch, height, width, channels).
        random: What draws.
        padding: Pixels of zeros on every side, >= 0. The crop has the image's size.
        flip: Whether to mirror left and right.

    Returns:
        Array like `images`.
    """
    batch, height, width, _ = images.shape
    top, left = random.integers(0, 2 * padding + 1, (2, batch, 1))
    columns = np.broadcast_to(np.arange(width), (batch, width))
    if flip:
        mirrored = random.integers(0, 2, (batch, 1)) == 1
        columns = np.where(mirrored, columns[:, ::-1], columns)
    rows, columns = np.arange(height) + top, columns + left
    around = (padding, padding)
    padded = np.pad(images, ((0, 0), around, around, (0, 0)))
    return padded[np.arange(batch)[:, None, None], rows[:, :, None], columns[:, None, :]]


def cutout(
    images: np.ndarray, random: np.random.Generator, size: int = 16, probability: float = 1.0
) -> np.ndarray:
    """Sets a square of each image to 0, the mean of normalized images.

    The square's centre is uniform over the image, so the square may reach beyond its border.

    Args:
        images: Float array of shape (batch, height, width, channels).
        random: What draws.
        size: Side of the square in pixels, >= 0.
        probability: The probability that an image gets a square, in (0, 1].

    Returns:
        Array like `images`.
    """
    batch, hidden = len(images), []
    for pixels in images.shape[1:3]:
        distances = np.arange(pixels) - random.integers(0, pixels, (batch, 1))
        hidden.append((distances >= -(size // 2)) & (distances < size - size // 2))
    rows, columns = hidden
    shown = ~(rows[:, :, None] & columns[:, None, :])
    shown |= (random.random(batch) >= probability)[:, None, None]
    return images * shown[..., None]

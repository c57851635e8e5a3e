"""Augmentation of whole batches of images, as functions of a seed of shape (2,)."""

from __future__ import annotations

from collections.abc import Sequence

from keras_zsharp.lazily import tf
from keras_zsharp.typing import Tensor


def crop_and_flip(images: Tensor, seed: Tensor, padding: int = 4, flip: bool = True) -> Tensor:
    """A random crop of each image with zeros around it, mirrored with probability 1/2.

    Args:
        images: Tensor of shape (batch, height, width, channels).
        seed: Integer tensor of shape (2,).
        padding: Pixels of zeros on every side, >= 0. The crop has the image's size.
        flip: Whether to mirror left and right.

    Returns:
        Tensor like `images`.
    """
    batch, (height, width, channels) = tf.shape(images)[0], images.shape[1:]
    crop_seed, flip_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    starts = tf.random.stateless_uniform((batch, 2), crop_seed, -padding, padding + 1, tf.int32)
    rows, columns = tf.range(height)[None] + starts[:, :1], tf.range(width)[None]
    if flip:
        mirrored = tf.random.stateless_uniform((batch, 1), flip_seed, 0, 2, tf.int32) == 1
        columns = tf.where(mirrored, columns[:, ::-1], columns)
    columns += starts[:, 1:]
    # One gather of pixels does it all. One more pixel, of zeros, stands for all outside the image.
    rows, columns = rows[:, :, None], columns[:, None, :]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    first = tf.range(batch)[:, None, None] * height
    indices = tf.where(inside, (first + rows) * width + columns, batch * height * width)
    pixels = tf.reshape(images, (-1, channels))
    return tf.gather(tf.concat([pixels, tf.zeros((1, channels), images.dtype)], 0), indices)


def cutout(images: Tensor, seed: Tensor, size: int = 16, probability: float = 1.0) -> Tensor:
    """Sets a square of each image to 0, the mean of normalized images.

    The square's centre is uniform over the image, so the square may reach beyond its border.

    Args:
        images: Float tensor of shape (batch, height, width, channels).
        seed: Integer tensor of shape (2,).
        size: Side of the square in pixels, >= 0.
        probability: The probability that an image gets a square, in (0, 1].

    Returns:
        Tensor like `images`.

    Reference:
        DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout",
        arXiv:1708.04552.
    """
    batch = tf.shape(images)[0]
    hidden = []
    for pixels, axis_seed in zip(
        images.shape[1:3], tf.unstack(tf.random.experimental.stateless_split(seed, 2)), strict=True
    ):
        centres = tf.random.stateless_uniform((batch, 1), axis_seed, 0, pixels, tf.int32)
        distances = tf.range(pixels) - centres
        hidden.append((distances >= -(size // 2)) & (distances < size - size // 2))
    rows, columns = hidden
    shown = ~(rows[:, :, None] & columns[:, None, :])
    if probability < 1:
        draws = tf.random.experimental.stateless_fold_in(seed, 1)
        shown |= (tf.random.stateless_uniform((batch,), draws) >= probability)[:, None, None]
    return images * tf.cast(shown, images.dtype)[..., None]


def normalize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """`(images - mean) / std` by channel, in float32."""
    # Both have the image's shape: broadcasting along the channels alone takes twice the time.
    scale = tf.broadcast_to(1 / tf.constant(std, tf.float32), images.shape[1:])
    offset = tf.broadcast_to(-tf.constant(mean, tf.float32) / std, images.shape[1:])
    return tf.cast(images, tf.float32) * scale + offset

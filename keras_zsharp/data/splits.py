"""The examples of a split: arrays in memory. `streamed` has records that are read as needed.

Both kinds of split hold unaugmented examples in a fixed order. Both give batches of images of one
size with integer labels: in that order, or shuffled, as a function of the seed and the epoch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_zsharp.data.epoch_order import EpochOrder
from keras_zsharp.lazily import tf
from keras_zsharp.typing import Tensor


@dataclasses.dataclass(frozen=True)
class InMemory:
    """Arrays: images of shape (n, height, width, channels) and labels of shape (n,)."""

    images: np.ndarray
    labels: np.ndarray

    @property
    def size(self) -> int:
        return len(self.labels)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        _, height, width, channels = self.images.shape
        return height, width, channels

    def hold_out(self, size: int) -> tuple[InMemory, InMemory]:
        """Two splits. The second has the last `size` examples."""
        kept = self.size - size
        return (
            InMemory(self.images[:kept], self.labels[:kept]),
            InMemory(self.images[kept:], self.labels[kept:]),
        )

    def with_label_noise(self, shifts: np.ndarray, classes: int) -> InMemory:
        return InMemory(self.images, (self.labels + shifts) % classes)

    def arrays(self, mean: Sequence[float], std: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """Normalized images and labels."""
        return normalized(self.images, mean, std), self.labels

    def batches(self, batch_size: int) -> Any:
        """Batches in order."""
        indices = tf.data.Dataset.range(self.size).batch(batch_size)
        return indices.map(self._gather(), tf.data.AUTOTUNE)

    def shuffled(self, batch_size: int, seed: int, epochs: EpochOrder) -> Any:
        """Pairs of a batch and a seed to augment it with, in another order every epoch."""

        def indices(seed):
            order, draws = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
            indices = tf.random.experimental.stateless_shuffle(tf.range(self.size), order)
            batches = tf.data.Dataset.from_tensor_slices(indices).batch(batch_size)
            return tf.data.Dataset.zip(batches, seeds(draws))

        gather = self._gather()
        return epochs.each(seed, indices).map(
            lambda batch, seed: (gather(batch), seed), tf.data.AUTOTUNE
        )

    def _gather(self):
        """A function from indices to the batch. One gather is faster than a dataset of examples."""
        with tf.device("CPU"):  # Not in the memory of a GPU.
            images, labels = tf.constant(self.images), tf.constant(self.labels)
        return lambda indices: (tf.gather(images, indices), tf.gather(labels, indices))


def normalized(images: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """`(images - mean) / std` by channel, in float32."""
    scale = np.float32(1) / np.asarray(std, "float32")
    return images * scale - np.asarray(mean, "float32") * scale


def seeds(seed: Tensor) -> Any:
    """An endless dataset of seeds for stateless draws, as a function of `seed` of shape (2,)."""
    fold = tf.random.experimental.stateless_fold_in
    return tf.data.Dataset.counter().map(lambda i: fold(seed, i))

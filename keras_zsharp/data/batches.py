"""Batches of images in memory where TensorFlow is not installed: `fit` takes them on any backend.

The examples are those of the `tf.data` pipelines. Order and augmentation follow from the seed, too,
but are drawn by NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_zsharp.data import array_augmentation, library_layers
from keras_zsharp.data.catalogue import Dataset
from keras_zsharp.data.epoch_order import EpochOrder
from keras_zsharp.data.library_layers import CUTOUTS, MIXED, RAND_AUGMENT
from keras_zsharp.data.splits import InMemory, normalized


class Batches(keras.utils.PyDataset):
    """Batches of (images, labels) in order.

    Args:
        dataset: How to normalize the images.
        split: The examples.
        batch_size: Examples in a batch. The last one may be smaller.
        classes: Number of classes if labels are one-hot, else None.
    """

    def __init__(
        self, dataset: Dataset, split: InMemory, batch_size: int, classes: int | None
    ) -> None:
        super().__init__()
        self.dataset, self.split = dataset, split
        self.batch_size, self.classes = batch_size, classes

    def __len__(self) -> int:
        return math.ceil(self.split.size / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.batch(self.place(index))

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        self.on_epoch_begin()
        return (self[index] for index in range(len(self)))

    def place(self, index: int) -> slice:
        """Where batch `index` is in an order of the examples."""
        if not 0 <= index < len(self):
            raise IndexError(f"`index` must be in [0, {len(self) - 1}]. Received: {index=}")
        return slice(index * self.batch_size, (index + 1) * self.batch_size)

    def batch(self, chosen: Any) -> tuple[np.ndarray, np.ndarray]:
        """The batch of the examples that `chosen` indexes."""
        images, labels = self.split.images[chosen], self.split.labels[chosen]
        return self.normalized(images), self.encoded(labels)

    def normalized(self, images: np.ndarray) -> np.ndarray:
        """Images as the model gets them."""
        return normalized(images, self.dataset.mean, self.dataset.std)

    def encoded(self, labels: np.ndarray) -> np.ndarray:
        """Labels as the loss gets them."""
        return labels if self.classes is None else np.eye(self.classes, dtype="float32")[labels]


class ShuffledBatches(Batches):
    """Augmented batches, in another order every epoch.

    What is drawn follows from the seed, the epoch and the number of the batch alone.

    Args:
        dataset: How to normalize and augment the images.
        split: The examples.
        batch_size: As in `Batches`.
        classes: As in `Batches`.
        augment: As in `load`.
        seed: Seed of the order and the augmentation.
        epochs: It counts the epochs.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: InMemory,
        batch_size: int,
        classes: int | None,
        *,
        augment: str | None,
        seed: int,
        epochs: EpochOrder,
    ) -> None:
        super().__init__(dataset, split, batch_size, classes)
        self.augment, self.seed, self.epochs = augment, seed, epochs
        self.start(0)

    def start(self, epoch: int) -> None:
        """Makes the batches those of an epoch."""
        self.epoch = epoch
        self.order = np.random.default_rng([self.seed, epoch]).permutation(self.split.size)

    def on_epoch_begin(self) -> None:
        self.start(self.epochs.begin())

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.order[self.place(index)]
        # Seeds of different lengths are the same if zeros follow: so batches count from 1.
        random = np.random.default_rng([self.seed, self.epoch, 1 + index])
        return self.augmented(self.split.images[chosen], self.split.labels[chosen], random)

    def augmented(
        self, images: np.ndarray, labels: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels, augmented and as the model gets them."""
        dataset, augment, targets = self.dataset, self.augment, self.encoded(labels)
        seed = int(random.integers(2**31 - 1))
        if augment is not None:
            images = array_augmentation.crop_and_flip(images, random, dataset.padding, dataset.flip)
        if augment == RAND_AUGMENT:
            layer = library_layers.rand_augment(dataset.top, seed)
            images = keras.ops.convert_to_numpy(layer(images.astype("float32")))
        images = self.normalized(images)
        if augment in CUTOUTS:
            images = array_augmentation.cutout(images, random, dataset.cutout, CUTOUTS[augment])
        if augment in MIXED:
            mixed = library_layers.mix(augment, seed)(images, targets)
            images, targets = map(keras.ops.convert_to_numpy, mixed)
        return images, targets

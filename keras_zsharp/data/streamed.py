"""Records of images that differ in size, read as they are needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from keras_zsharp.data.epoch_order import EpochOrder
from keras_zsharp.data.splits import InMemory, seeds
from keras_zsharp.lazily import tf

SHUFFLE_BUFFER = 10_000


@dataclasses.dataclass(frozen=True)
class Streamed:
    """A slice of a split of a prepared tensorflow-datasets builder whose images differ in size.

    It has `size` examples, from example number `start` on.

    In training a crop is random: it has 8 to 100 % of the image's area and sides of 3:4 to 4:3
    (Szegedy et al. 2015). Else it is a square in the middle, of 7/8 of the shorter side. Both are
    scaled to a square of `side` pixels.
    """

    builder: Any
    split: str
    size: int
    side: int
    start: int = 0
    shifts: np.ndarray | None = None
    classes: int | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return (self.side, self.side, 3)

    def hold_out(self, size: int) -> tuple[Streamed, Streamed]:
        kept = self.size - size
        return (
            dataclasses.replace(self, size=kept),
            dataclasses.replace(self, size=size, start=self.start + kept),
        )

    def with_label_noise(self, shifts: np.ndarray, classes: int) -> Streamed:
        return dataclasses.replace(self, shifts=shifts, classes=classes)

    def arrays(self, mean: Sequence[float], std: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        raise ValueError(
            "`arrays` needs a dataset in memory: take `train`, `validation` and `test`. "
            f"Received: {self.size} images that are read one by one"
        )

    def batches(self, batch_size: int) -> Any:
        """Batches in order."""
        return self._examples().map(self._central_crop, tf.data.AUTOTUNE).batch(batch_size)

    def shuffled(self, batch_size: int, seed: int, epochs: EpochOrder) -> Any:
        """Pairs of a batch and a seed to augment it with, in another order every epoch."""
        examples = self._examples()

        def shuffled(seed):
            order, draws = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
            order = tf.random.stateless_uniform((), order, maxval=2**31 - 1, dtype=tf.int64)
            # This is the seed of this dataset's graph alone. Without it, the order would follow
            # from the user's global seed, too.
            tf.random.set_seed(1)
            # The images are still encoded, so the buffer is small.
            buffer = min(self.size, SHUFFLE_BUFFER)
            shuffled = examples.shuffle(buffer, order, reshuffle_each_iteration=False)
            return tf.data.Dataset.zip(shuffled, seeds(draws))

        crops = epochs.each(seed, shuffled).map(self._random_crop, tf.data.AUTOTUNE)
        # The seed of a batch follows from that of its first crop.
        return crops.batch(batch_size).map(
            lambda images, labels, seeds: (
                (images, labels),
                tf.random.experimental.stateless_fold_in(seeds[0], 1),
            )
        )

    def _examples(self):
        slice_ = f"{self.split}[{self.start}:{self.start + self.size}]"
        examples = stored_examples(self.builder, slice_, encoded=True)
        if self.shifts is None:
            return examples
        shifts = tf.data.Dataset.from_tensor_slices(self.shifts)
        return tf.data.Dataset.zip(examples, shifts).map(self._move_label)

    def _move_label(self, example, shift):
        image, label = example
        return image, (label + shift) % self.classes

    def _central_crop(self, image, label):
        image = _decode(image)
        height, width = tf.shape(image)[0], tf.shape(image)[1]
        side = tf.maximum(7 * tf.minimum(height, width) // 8, 1)
        top, left = (height - side) // 2, (width - side) // 2
        return self._scale(image[top : top + side, left : left + side]), label

    def _random_crop(self, example, seed):
        image, label = example
        image = _decode(image)
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.shape(image),
            tf.zeros((1, 0, 4)),
            seed,
            min_object_covered=0.0,
            aspect_ratio_range=(3 / 4, 4 / 3),
            area_range=(0.08, 1.0),
            use_image_if_no_bounding_boxes=True,
        )
        return self._scale(tf.slice(image, begin, size)), label, seed

    def _scale(self, image):
        image = tf.image.resize(image, (self.side, self.side), antialias=True)
        image.set_shape(self.image_shape)
        return image


Split: TypeAlias = InMemory | Streamed
"""The examples to train on, to validate on or to test on."""


def stored_examples(builder: Any, split: str, encoded: bool = False) -> Any:
    """The (image, label) of a tensorflow-datasets builder in their stored order."""
    import tensorflow_datasets as tfds

    decoders = {"image": tfds.decode.SkipDecoding()} if encoded else None
    # Masks, boxes and other features are not read.
    decoders = tfds.decode.PartialDecoding({"image": True, "label": True}, decoders)
    examples = builder.as_dataset(split=split, decoders=decoders)
    return examples.map(lambda example: (example["image"], example["label"]))


def stored_labels(builder: Any, split: str, name: str) -> np.ndarray:
    """The feature `name`, a class, of a tensorflow-datasets builder in the stored order."""
    import tensorflow_datasets as tfds

    decoders = tfds.decode.PartialDecoding({name: True})
    examples = builder.as_dataset(split=split, decoders=decoders).batch(1024)
    return np.concatenate([batch[name] for batch in examples.as_numpy_iterator()])


def _decode(image):
    return tf.io.decode_image(image, channels=3, expand_animations=False)

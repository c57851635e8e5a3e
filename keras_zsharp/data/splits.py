"""Where examples come from: arrays in memory, or records read as they are needed.

Both kinds of split hold unaugmented examples in a fixed order, and give batches of images of one
size with integer labels: in that order, or shuffled, as a function of the seed and the epoch.
"""

import dataclasses

import numpy as np

from keras_zsharp.lazily import tf

SHUFFLE_BUFFER = 10_000


@dataclasses.dataclass(frozen=True)
class InMemory:
    """Images of shape (n, height, width, channels) and labels of shape (n,), both arrays."""

    images: np.ndarray
    labels: np.ndarray

    @property
    def size(self):
        return len(self.labels)

    @property
    def image_shape(self):
        return self.images.shape[1:]

    def hold_out(self, count):
        """Two splits; the second has the last `count` examples."""
        kept = self.size - count
        return (
            InMemory(self.images[:kept], self.labels[:kept]),
            InMemory(self.images[kept:], self.labels[kept:]),
        )

    def with_label_noise(self, shifts, classes):
        return InMemory(self.images, (self.labels + shifts) % classes)

    def arrays(self, mean, std):
        """Normalized images and labels."""
        scale = np.float32(1) / np.float32(std)
        return self.images * scale - np.float32(mean) * scale, self.labels

    def batches(self, batch_size):
        """Batches in order."""
        indices = tf.data.Dataset.range(self.size).batch(batch_size)
        return indices.map(self._gather(), tf.data.AUTOTUNE)

    def shuffled(self, batch_size, seed, epochs):
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
        """A function from indices to the batch. Whole batches save a dataset's cost per element."""
        with tf.device("CPU"):  # Not into the memory of a GPU.
            images, labels = tf.constant(self.images), tf.constant(self.labels)
        return lambda indices: (tf.gather(images, indices), tf.gather(labels, indices))


@dataclasses.dataclass(frozen=True)
class Streamed:
    """Part of a split of a prepared tensorflow-datasets builder whose images differ in size.

    It has `size` examples, from that of number `start` on.

    In training a crop is random: 8 to 100 % of the image's area, its sides at 3:4 to 4:3, scaled
    to a square (Szegedy et al. 2015). Else it is the square of 7/8 of the shorter side in the
    middle, scaled alike.
    """

    builder: object
    split: str
    size: int
    side: int
    start: int = 0
    shifts: np.ndarray | None = None
    classes: int | None = None

    @property
    def image_shape(self):
        return (self.side, self.side, 3)

    def hold_out(self, count):
        kept = self.size - count
        return (
            dataclasses.replace(self, size=kept),
            dataclasses.replace(self, size=count, start=self.start + kept),
        )

    def with_label_noise(self, shifts, classes):
        return dataclasses.replace(self, shifts=shifts, classes=classes)

    def arrays(self, mean, std):
        raise ValueError(
            "`arrays` are of datasets that are kept in memory. Take `train`, `validation` and "
            f"`test`. Received: {self.size} images of {self.side} pixels, read one by one"
        )

    def batches(self, batch_size):
        """Batches in order."""
        return self._examples().map(self._central_crop, tf.data.AUTOTUNE).batch(batch_size)

    def shuffled(self, batch_size, seed, epochs):
        """Pairs of a batch and a seed to augment it with, in another order every epoch."""
        examples = self._examples()

        def shuffled(seed):
            order, draws = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
            order = tf.random.stateless_uniform((), order, maxval=2**31 - 1, dtype=tf.int64)
            # Of this dataset's graph alone: else the order would follow from the user's, too.
            tf.random.set_seed(1)
            # Still encoded, so that the buffer is small.
            buffer = min(self.size, SHUFFLE_BUFFER)
            shuffled = examples.shuffle(buffer, order, reshuffle_each_iteration=False)
            return tf.data.Dataset.zip(shuffled, seeds(draws))

        crops = epochs.each(seed, shuffled).map(self._random_crop, tf.data.AUTOTUNE)
        # A batch takes a seed of its own from that of its first crop.
        return crops.batch(batch_size).map(
            lambda images, labels, seeds: (
                (images, labels),
                tf.random.experimental.stateless_fold_in(seeds[0], 1),
            )
        )

    def _examples(self):
        part = f"{self.split}[{self.start}:{self.start + self.size}]"
        examples = stored_examples(self.builder, part, encoded=True)
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


def stored_examples(builder, split, encoded=False):
    """The (image, label) of a tensorflow-datasets builder in their stored order."""
    import tensorflow_datasets as tfds

    decoders = {"image": tfds.decode.SkipDecoding()} if encoded else None
    # Masks, boxes and the like stay unread.
    decoders = tfds.decode.PartialDecoding({"image": True, "label": True}, decoders)
    examples = builder.as_dataset(split=split, decoders=decoders)
    return examples.map(lambda example: (example["image"], example["label"]))


def _decode(image):
    return tf.io.decode_image(image, channels=3, expand_animations=False)


def seeds(seed):
    """An endless dataset of seeds for stateless draws, as a function of `seed` of shape (2,)."""
    fold = tf.random.experimental.stateless_fold_in
    return tf.data.Dataset.counter().map(lambda i: fold(seed, i))

"""Small datasets in tensorflow-datasets' own files, read by the library's real code."""

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds


def store(folder, tfds_name, train, test, test_split="test", classes=10, shape=(None, None, 3)):
    """Writes lists of (image, label) where `tfds.builder(tfds_name)` looks for its data."""
    spec = (tf.TensorSpec(shape, tf.uint8), tf.TensorSpec((), tf.int64))

    def dataset(examples):
        pairs = tf.data.Dataset.from_generator(lambda: iter(examples), output_signature=spec)
        return pairs.map(lambda image, label: {"image": image, "label": label})

    tfds.dataset_builders.store_as_tfds_dataset(
        tfds_name,
        version=tfds.builder(tfds_name, data_dir=folder).version,
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=shape, encoding_format="png"),
                "label": tfds.features.ClassLabel(num_classes=classes),
            }
        ),
        split_datasets={"train": dataset(train), test_split: dataset(test)},
        data_dir=folder,
        disable_shuffling=True,
    )


def random_images(count, shape, seed=0):
    """Images of random pixels, with the labels 0, 1, ... 9, 0, ..."""
    random = np.random.default_rng(seed)
    return [(random.integers(0, 256, shape, dtype="uint8"), i % 10) for i in range(count)]


def plain_images(count, seed=0):
    """Images of one color each, by which a crop can be told, in various sizes."""
    random = np.random.default_rng(seed)
    colors = random.permutation(256)[:count]
    sizes = random.integers(20, 60, (count, 2))
    return [
        (np.full((*size, 3), color, "uint8"), i % 10)
        for i, (size, color) in enumerate(zip(sizes, colors, strict=True))
    ]

"""Small datasets in tensorflow-datasets' own files, read by the library's real code."""

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds


def store(
    folder, tfds_name, train, test, test_split="test", classes=10, shape=(None, None, 3), more=None
):
    """Writes lists of (image, label) where `tfds.builder(tfds_name)` looks for its data.

    `more` are labels of other names for the training images. Those for testing are -1.
    """
    more = more or {}
    spec = {"image": tf.TensorSpec(shape, tf.uint8)}
    spec |= {name: tf.TensorSpec((), tf.int64) for name in ("label", *more)}

    def dataset(examples, others):
        def dicts():
            for number, (image, label) in enumerate(examples):
                labels = {name: values[number] for name, values in others.items()}
                yield {"image": image, "label": label, **labels}

        return tf.data.Dataset.from_generator(dicts, output_signature=spec)

    tfds.dataset_builders.store_as_tfds_dataset(
        tfds_name,
        version=tfds.builder(tfds_name, data_dir=folder).version,
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=shape, encoding_format="png"),
                **{n: tfds.features.ClassLabel(num_classes=classes) for n in ("label", *more)},
            }
        ),
        split_datasets={
            "train": dataset(train, more),
            test_split: dataset(test, {name: [-1] * len(test) for name in more}),
        },
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

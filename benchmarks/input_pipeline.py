"""Images per second of the CIFAR pipeline, beside the one of tutorials and what training consumes.

    python benchmarks/input_pipeline.py

All in one process and on the same images of CIFAR's shape (random ones: speed does not depend on
what they show, and nothing is downloaded). The tutorials' pipeline augments image by image with
`map` before batching: `resize_with_crop_or_pad`, `random_crop`, `random_flip_left_right`, mean and
standard deviation. Training is `fit` on one batch over and over. Rounds of all rows alternate;
medians, ranges and the ratios to the tutorials' pipeline are printed as Markdown.
"""

import argparse
import os
import statistics
import time


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--images", type=int, default=25_000)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import machine
import numpy as np
import tensorflow as tf

import keras_zsharp
from keras_zsharp.data import catalogue, pipeline
from keras_zsharp.data.options import AUGMENTATIONS, Options
from keras_zsharp.data.splits import InMemory

CIFAR10 = catalogue.DATASETS["cifar10"]
BATCH_SIZE = 256


def random_images(count):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, 32, 32, 3), dtype="uint8")
    return InMemory(images, random.integers(0, 10, count))


def per_image(split):
    """The pipeline of tutorials."""
    mean, std = (tf.constant(values) for values in (CIFAR10.mean, CIFAR10.std))

    def augment(image, label):
        image = tf.cast(image, tf.float32)
        image = tf.image.resize_with_crop_or_pad(image, 40, 40)
        image = tf.image.random_crop(image, (32, 32, 3))
        image = tf.image.random_flip_left_right(image)
        return (image - mean) / std, label

    return (
        tf.data.Dataset.from_tensor_slices((split.images, split.labels))
        .shuffle(split.size)
        .map(augment, tf.data.AUTOTUNE)
        .batch(BATCH_SIZE)
        .prefetch(tf.data.AUTOTUNE)
    )


def ours(split, augment):
    options = Options(BATCH_SIZE, augment, label_noise=0.0, seed=0, validation=None)
    return pipeline.build(CIFAR10, split, split, 10, options).train


def reading(dataset):
    """A function that takes an epoch of `dataset`; the number of its images."""

    def run():
        return sum(len(labels) for _, labels in dataset)

    return run


def training(batches, wrap):
    """A function that trains ResNet-20 for some steps; the number of images it consumed."""
    model = wrap(keras_zsharp.models.resnet20())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adamw", loss)
    batch = tf.data.Dataset.from_tensors(next(iter(batches))).cache().repeat(4)

    def run():
        model.fit(batch, verbose=0)
        return 4 * BATCH_SIZE

    return run


def measure(rows, rounds):
    """Images per second of each row: one list of `rounds` figures by name, after a warm-up."""
    rates = {name: [] for name in rows}
    for turn in range(rounds + 1):
        for name, run in rows.items():
            started = time.perf_counter()
            images = run()
            if turn:
                rates[name].append(images / (time.perf_counter() - started))
    return rates


def table(rates, baseline):
    """The rates as Markdown; the ratio is the median of those to the baseline in the same round."""
    lines = ["| | images/s | range | ratio |", "| --- | ---: | ---: | ---: |"]
    for name, values in rates.items():
        ratios = [value / base for value, base in zip(values, rates[baseline], strict=True)]
        lines.append(
            f"| {name} | {statistics.median(values):,.0f} | {min(values):,.0f} to "
            f"{max(values):,.0f} | {statistics.median(ratios):.3g} |"
        )
    return "\n".join(lines)


def main():
    options = parse()
    split = random_images(options.images)
    standard = ours(split, "standard")
    per_image_name = "per-image `map`"
    rows = {per_image_name: reading(per_image(split))}
    for augment in AUGMENTATIONS:
        images = random_images(4 * BATCH_SIZE) if augment == "randaugment" else split
        rows[f"`{augment=}`"] = reading(ours(images, augment))
    rows["training ResNet-20, AdamW"] = training(standard, lambda network: network)
    rows["training ResNet-20, ZSharp"] = training(
        standard, lambda network: keras_zsharp.SharpnessAwareModel(network, "zsharp")
    )
    print(
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}, {machine.describe()}; "
        f"{options.images:,} images, batches of "
        f"{BATCH_SIZE}, medians of {options.rounds} rounds.\n"
    )
    print(table(measure(rows, options.rounds), per_image_name))


if __name__ == "__main__":
    main()

"""From the splits of a dataset to the batches that a model trains on."""

from __future__ import annotations

import functools
import math

import numpy as np

from keras_zsharp.data import augmentation, library_layers
from keras_zsharp.data.batches import Batches, ShuffledBatches
from keras_zsharp.data.bundle import DatasetBundle
from keras_zsharp.data.catalogue import Dataset
from keras_zsharp.data.epoch_order import EpochOrder
from keras_zsharp.data.library_layers import CUTOUTS, RAND_AUGMENT
from keras_zsharp.data.noise import label_shifts
from keras_zsharp.data.options import Options
from keras_zsharp.data.splits import InMemory
from keras_zsharp.data.streamed import Split
from keras_zsharp.lazily import has_tensorflow, tf


def build(
    dataset: Dataset,
    train: Split,
    test: Split,
    classes: int,
    options: Options,
    shifts: np.ndarray | None = None,
) -> DatasetBundle:
    """The bundle of a dataset whose splits are `train` and `test`.

    What `shifts` adds to the label of each example of `train`, modulo `classes`, takes the place of
    the noise that is drawn.
    """
    if options.augment == RAND_AUGMENT and train.image_shape[-1] != 3:
        raise ValueError(
            f'`augment="{options.augment}"` needs color images. '
            f"Received: images of the shape {train.image_shape}"
        )
    train, validation = held_out(train, options.validation)
    if shifts is None:
        shifts = label_shifts(
            train.size, options.label_noise, classes, options.seed, options.noise_draw
        )
    shifts = shifts[: train.size]
    if shifts.any():
        train = train.with_label_noise(shifts, classes)
    epoch_order = EpochOrder()
    splits = {"train": train, "validation": validation, "test": test}
    splits = {name: split for name, split in splits.items() if split is not None}
    pipelines = {
        name: functools.partial(_batches_in_order, dataset, split, classes, options)
        for name, split in splits.items()
    }
    pipelines["train"] = functools.partial(
        _training_batches, dataset, train, classes, options, epoch_order
    )
    return DatasetBundle(
        pipelines=pipelines,
        splits=splits,
        one_hot=options.one_hot,
        classes=classes,
        input_shape=train.image_shape,
        sizes={name: split.size for name, split in splits.items()},
        noisy_labels=int((shifts != 0).sum()),
        mean=dataset.mean,
        std=dataset.std,
        epoch_order=epoch_order,
    )


def held_out(train: Split, validation: float | None) -> tuple[Split, Split | None]:
    """The examples to train on, and those held out of them for `validation`."""
    if validation is None:
        return train, None
    size = round(validation * train.size)
    if not 0 < size < train.size:
        raise ValueError(
            f"`validation` must leave at least one of the {train.size} training examples in each "
            f"of the two splits. Received: {validation=}"
        )
    return train.hold_out(size)


def _batches_in_order(dataset, split, classes, options):
    if not has_tensorflow():
        return Batches(dataset, split, options.batch_size, classes if options.one_hot else None)

    def prepare(images, labels):
        images = augmentation.normalize(images, dataset.mean, dataset.std)
        return images, tf.one_hot(labels, classes) if options.one_hot else labels

    batches = split.batches(options.batch_size).map(prepare, tf.data.AUTOTUNE)
    return _prefetched(batches, split)


def _training_batches(dataset, split, classes, options, epoch_order):
    augment, seed = options.augment, options.seed
    if not has_tensorflow():
        one_hot = classes if options.one_hot else None
        return ShuffledBatches(
            *(dataset, split, options.batch_size, one_hot),
            augment=augment,
            seed=seed,
            epochs=epoch_order,
        )

    operations = None
    if augment == RAND_AUGMENT:
        operations = library_layers.rand_augment(dataset.top, seed)

    def augmented(batch, seed):
        images, labels = batch
        geometry, hole = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        if augment is not None:
            images = augmentation.crop_and_flip(images, geometry, dataset.padding, dataset.flip)
        if operations is not None:
            images = operations(tf.cast(images, tf.float32))
        images = augmentation.normalize(images, dataset.mean, dataset.std)
        if augment in CUTOUTS:
            images = augmentation.cutout(images, hole, dataset.cutout, CUTOUTS[augment])
        return images, labels

    # Not in parallel where layers draw from a state of their own: whoever came first would draw.
    at_once = tf.data.AUTOTUNE if operations is None else None
    batches = split.shuffled(options.batch_size, seed, epoch_order).map(augmented, at_once)
    steps = math.ceil(split.size / options.batch_size)
    batches = batches.apply(tf.data.experimental.assert_cardinality(steps))
    if options.one_hot:
        mixed = library_layers.mix(augment, seed)
        batches = batches.map(lambda images, labels: mixed(images, tf.one_hot(labels, classes)))
    return _prefetched(batches, split)


def _prefetched(batches, split):
    options = tf.data.Options()
    # Autotuning has a thread. It delays the end of an epoch of small data by half a second.
    options.autotune.enabled = not isinstance(split, InMemory)
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)

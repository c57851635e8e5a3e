"""The data that a loss is measured on, as batches."""

import numpy as np
import tensorflow as tf

from keras_zsharp.sharpness.checks import checked


def as_dataset(data, batch_size, batches):
    """`data` as a finite dataset of batches.

    Args:
        data: A `tf.data.Dataset` of batches, or a tuple of (nested) arrays.
        batch_size: int >= 1, for arrays only.
        batches: int >= 1: only so many, or None: all.

    Returns:
        The dataset, and the structure into which a flattened batch packs.
    """
    dataset, structure = batched(data, batch_size)
    if batches is not None:
        dataset = dataset.take(*checked(batches=batches))
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("`data` must be finite: give `batches`. Received: an infinite dataset")
    return dataset, structure


def batched(data, batch_size, name="data", shuffled=False):
    """The same of all of `data`, also of an infinite dataset.

    Args:
        data: A `tf.data.Dataset` of batches, or a tuple of (nested) arrays.
        batch_size: int >= 1, for arrays only.
        name: What the caller's argument is called, for messages.
        shuffled: Whether to read arrays in a random order, each time in another one.
    """
    [batch_size] = checked(batch_size=batch_size)
    check_data(data, name)
    if isinstance(data, tf.data.Dataset):
        dataset, structure = data, data.element_spec
    else:
        dataset, structure = _slices(data), data
        if shuffled:
            dataset = dataset.shuffle(max(1, len(dataset)))
        dataset = dataset.batch(batch_size)
    if any(spec.shape.rank == 0 for spec in tf.nest.flatten(dataset.element_spec)):
        raise ValueError(
            f"`{name}` must be batched: call `.batch(...)`. "
            f"Received: {name} with elements {dataset.element_spec}"
        )
    return dataset, structure


def check_data(data, name="data"):
    """Whether it can be measured on, as far as that can be said without reading it."""
    if not isinstance(data, tf.data.Dataset | tuple):
        raise TypeError(
            f"`{name}` must be a tf.data.Dataset of batches (x, y) or (x, y, sample_weight), or a "
            f"tuple of arrays. Received: {name} of type {type(data)}"
        )
    if not isinstance(data, tuple):
        return
    shapes = [np.shape(array) for array in tf.nest.flatten(data)]
    if len({shape[:1] for shape in shapes}) != 1 or not shapes[0]:
        raise ValueError(
            f"`{name}` must hold arrays with one entry per example. "
            f"Received: arrays of the shapes {shapes}"
        )


def _slices(data):
    arrays = tuple(np.asarray(array) for array in tf.nest.flatten(data))
    return tf.data.Dataset.from_tensor_slices(arrays)

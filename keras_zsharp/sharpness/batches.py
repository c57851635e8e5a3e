"""The data that a loss is measured on, as batches."""

import numpy as np
import tensorflow as tf

from keras_zsharp.arguments import positive_int


def as_dataset(data, batch_size, batches):
    """`data` as a finite dataset of batches.

    Args:
        data: A `tf.data.Dataset` of batches, or a tuple of (nested) arrays.
        batch_size: int >= 1, for arrays only.
        batches: int >= 1: only so many, or None: all.

    Returns:
        The dataset, and the structure into which a flattened batch packs.
    """
    positive_int("batch_size", batch_size)
    if isinstance(data, tf.data.Dataset):
        dataset, structure = data, data.element_spec
    elif isinstance(data, tuple):
        dataset, structure = _slices(data).batch(batch_size), data
    else:
        raise TypeError(
            "`data` must be a tf.data.Dataset of batches (x, y) or (x, y, sample_weight), or a "
            f"tuple of arrays. Received: data of type {type(data)}"
        )
    if any(spec.shape.rank == 0 for spec in tf.nest.flatten(dataset.element_spec)):
        raise ValueError(
            "`data` must be batched: call `.batch(...)`. "
            f"Received: data with elements {dataset.element_spec}"
        )
    if batches is not None:
        dataset = dataset.take(positive_int("batches", batches))
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("`data` must be finite: give `batches`. Received: an infinite dataset")
    return dataset, structure


def _slices(data):
    arrays = tuple(np.asarray(array) for array in tf.nest.flatten(data))
    if len({array.shape[:1] for array in arrays}) != 1 or arrays[0].ndim == 0:
        raise ValueError(
            "`data` must hold arrays with one entry per example. "
            f"Received: arrays of the shapes {[array.shape for array in arrays]}"
        )
    return tf.data.Dataset.from_tensor_slices(arrays)

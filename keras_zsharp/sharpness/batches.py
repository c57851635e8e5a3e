"""The data that a loss is measured on, as batches."""

import dataclasses
import sys

import keras
import numpy as np

from keras_zsharp.sharpness.checks import checked


@dataclasses.dataclass(frozen=True)
class Spec:
    """What the batches of an array look like."""

    shape: tuple
    dtype: np.dtype


class ArrayBatches:
    """Batches of a tuple of (nested) arrays, in order: each a list of the arrays in it.

    Attributes:
        structure: What such a list packs into.
        specs: For each array in it, something with `.shape` and `.dtype`.
        infinite: bool.
        arrays: All of them, a list.
        batch_size: int.
    """

    infinite = False

    def __init__(self, structure, batch_size):
        self.structure, self.batch_size = structure, batch_size
        self.arrays = [_as_numpy(leaf) for leaf in keras.tree.flatten(structure)]
        self.specs = [Spec((None, *array.shape[1:]), array.dtype) for array in self.arrays]

    def __iter__(self):
        for start in range(0, len(self.arrays[0]), self.batch_size):
            yield [array[start : start + self.batch_size] for array in self.arrays]

    def take(self, count):
        """The first so many batches."""
        return self.picked(slice(count * self.batch_size))

    def picked(self, examples):
        """The same of some of the examples, or in another order."""
        arrays = [array[examples] for array in self.arrays]
        picked = keras.tree.pack_sequence_as(self.structure, arrays)
        return ArrayBatches(picked, self.batch_size)


class DatasetBatches:
    """Those of a `tf.data.Dataset`: tensors where that is Keras' backend, else NumPy arrays.

    Attributes as in `ArrayBatches`, but for the last two; and `dataset`.
    """

    def __init__(self, dataset):
        self.dataset, self.structure = dataset, dataset.element_spec
        self.specs = keras.tree.flatten(self.structure)
        self.infinite = int(dataset.cardinality()) == -1  # tf.data.INFINITE_CARDINALITY

    def __iter__(self):
        as_tensors = keras.backend.backend() == "tensorflow"
        for batch in self.dataset:
            leaves = keras.tree.flatten(batch)
            yield leaves if as_tensors else [leaf.numpy() for leaf in leaves]

    def take(self, count):
        """The first so many batches."""
        return DatasetBatches(self.dataset.take(count))


def finite(data, batch_size, batches):
    """Batches of `data`, which must come to an end.

    Args:
        data: A `tf.data.Dataset` of batches, or a tuple of (nested) arrays.
        batch_size: int >= 1, for arrays only.
        batches: int >= 1: only so many, or None: all.
    """
    of_data = batched(data, batch_size)
    if batches is not None:
        of_data = of_data.take(*checked(batches=batches))
    if of_data.infinite:
        raise ValueError("`data` must be finite: give `batches`. Received: an infinite dataset")
    return of_data


def batched(data, batch_size, name="data"):
    """The same of all of `data`, also of an infinite dataset; `name` is for messages."""
    [batch_size] = checked(batch_size=batch_size)
    check_data(data, name)
    of_data = DatasetBatches(data) if _is_dataset(data) else ArrayBatches(data, batch_size)
    if any(len(spec.shape) == 0 for spec in of_data.specs):
        raise ValueError(
            f"`{name}` must be batched: call `.batch(...)`. "
            f"Received: {name} with elements {of_data.structure}"
        )
    return of_data


def check_data(data, name="data"):
    """Whether it can be measured on, as far as that can be said without reading it."""
    if not isinstance(data, tuple) and not _is_dataset(data):
        raise TypeError(
            f"`{name}` must be a tf.data.Dataset of batches (x, y) or (x, y, sample_weight), or a "
            f"tuple of arrays. Received: {name} of type {type(data)}"
        )
    if not isinstance(data, tuple):
        return
    shapes = [np.shape(array) for array in keras.tree.flatten(data)]
    if len({shape[:1] for shape in shapes}) != 1 or not shapes[0]:
        raise ValueError(
            f"`{name}` must hold arrays with one entry per example. "
            f"Received: arrays of the shapes {shapes}"
        )


def _is_dataset(data):
    """Whose there is one, has loaded TensorFlow."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(data, tensorflow.data.Dataset)


def _as_numpy(array):
    return keras.ops.convert_to_numpy(array) if keras.ops.is_tensor(array) else np.asarray(array)


def unpacked(structure, leaves):
    """x, y and sample_weight, from the list of the arrays of a batch."""
    batch = keras.tree.pack_sequence_as(structure, leaves)
    return keras.utils.unpack_x_y_sample_weight(batch)

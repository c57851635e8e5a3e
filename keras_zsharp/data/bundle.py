from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_zsharp.data.epoch_order import EpochOrder
from keras_zsharp.data.streamed import Split

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class DatasetBundle:
    """A dataset ready for `model.fit(bundle.train, validation_data=bundle.test)`.

    `image = (pixel - mean) / std` by channel, in float32. Labels are integers from 0 to
    `classes - 1`. Where `one_hot` is True, they are float32 vectors of length `classes`.

    `train`, `validation` and `test` are `tf.data.Dataset`s. Where TensorFlow is not installed, each
    is a `keras.utils.PyDataset` of the same examples, in an order that NumPy draws.

    Attributes:
        classes: Number of classes.
        input_shape: Height, width and channels of an image.
        sizes: Number of examples of each split: `{"train": ..., "validation": ..., "test": ...}`.
            `"validation"` is there where examples were held out.
        epoch_order: A callback. With it, a resumed run has the order and the augmentation that it
            would have had without the interruption.
        pipelines: Functions that make what `fit` reads of each split.
        splits: The examples of each split, as they are stored.
        one_hot: Whether labels are vectors, for a `CategoricalCrossentropy`.
        noisy_labels: Number of training labels that were moved to another class.
        mean: Mean of each channel, in the range of the pixels.
        std: Standard deviation of each channel, in the range of the pixels.
        class_names: Names of the classes in the order of their labels. Empty where they are not
            known.
    """

    classes: int
    input_shape: tuple[int, int, int]
    sizes: dict[str, int]
    epoch_order: EpochOrder
    pipelines: Mapping[str, Callable[[], tf.data.Dataset | keras.utils.PyDataset]]
    splits: Mapping[str, Split]
    one_hot: bool = False
    noisy_labels: int = 0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    class_names: tuple[str, ...] = ()

    @functools.cached_property
    def train(self) -> tf.data.Dataset | keras.utils.PyDataset:
        """Shuffled batches of (images, labels), in a new order every epoch.

        The order follows from the seed. Keras draws from Python's generator in which order it takes
        the batches of a `PyDataset`, unless `fit` has `shuffle=False`.
        """
        return self.pipelines["train"]()

    @functools.cached_property
    def test(self) -> tf.data.Dataset | keras.utils.PyDataset:
        """Batches of (images, labels) in a fixed order, neither augmented nor with label noise."""
        return self.pipelines["test"]()

    @functools.cached_property
    def validation(self) -> tf.data.Dataset | keras.utils.PyDataset | None:
        """The examples held out of the training split, as in `test`. None where there are none."""
        return self.pipelines["validation"]() if "validation" in self.pipelines else None

    @functools.cached_property
    def arrays(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """NumPy arrays (images, labels) of each split: `{"train": ..., "test": ...}`.

        They are in a fixed order and not augmented. Labels are integers; training labels have their
        noise. Only datasets that are kept in memory have arrays.

        Raises:
            ValueError: The images are not kept in memory, but read as they are needed.
        """
        return {name: split.arrays(self.mean, self.std) for name, split in self.splits.items()}

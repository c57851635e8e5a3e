import dataclasses
import functools
import typing

from keras_zsharp.data.epoch_order import EpochOrder


@dataclasses.dataclass(frozen=True)
class DatasetBundle:
    """A dataset ready for `model.fit(bundle.train, validation_data=bundle.test)`.

    Images are float32, normalized: `image = (pixel - mean) / std` by channel. Labels are integers
    from 0 to `classes - 1`, or float32 vectors of length `classes` where `one_hot` is True.

    `train`, `test` and `validation` are `tf.data.Dataset`s, which need TensorFlow, and train on any
    backend. `arrays` need none.

    Attributes:
        classes: Number of classes.
        input_shape: Shape of one image.
        sizes: Number of examples by part: `{"train": ..., "validation": ..., "test": ...}`.
        epoch_order: A callback with which a resumed run has the order and augmentation that it
            would have had without the interruption.
        pipelines: Functions that make the datasets, by part.
        splits: Where the examples come from, by part.
        one_hot: Whether labels are vectors, for a `CategoricalCrossentropy`.
        noisy_labels: How many training labels were moved to another class.
        mean: Mean by channel, in the range of the pixels.
        std: Standard deviation by channel, in the range of the pixels.
    """

    classes: int
    input_shape: tuple
    sizes: dict
    epoch_order: EpochOrder
    pipelines: typing.Mapping
    splits: typing.Mapping
    one_hot: bool = False
    noisy_labels: int = 0
    mean: tuple = (0.0,)
    std: tuple = (1.0,)

    @functools.cached_property
    def train(self):
        """Shuffled batches of (images, labels), in a new order every epoch."""
        return self.pipelines["train"]()

    @functools.cached_property
    def test(self):
        """Batches of (images, labels) in a fixed order, neither augmented nor with label noise."""
        return self.pipelines["test"]()

    @functools.cached_property
    def validation(self):
        """What was held out of the training data, like `test`; None where nothing was."""
        return self.pipelines["validation"]() if "validation" in self.pipelines else None

    @functools.cached_property
    def arrays(self):
        """NumPy arrays (images, labels) by part: `{"train": ..., "test": ...}`.

        In a fixed order, not augmented, training labels with their noise; labels are integers. For
        datasets whose images are kept in memory.

        Raises:
            ValueError: Images are read as they are needed.
        """
        return {name: split.arrays(self.mean, self.std) for name, split in self.splits.items()}

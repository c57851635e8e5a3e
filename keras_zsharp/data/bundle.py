import dataclasses

import tensorflow as tf

from keras_zsharp.data.epoch_order import EpochOrder


@dataclasses.dataclass(frozen=True)
class DatasetBundle:
    """A dataset ready for `model.fit(bundle.train, validation_data=bundle.test)`.

    Images are float32, normalized: `image = (pixel - mean) / std` by channel. Labels are integers
    from 0 to `classes - 1`, or float32 vectors of length `classes` where `one_hot` is True.

    Attributes:
        train: Shuffled batches of (images, labels), in a new order every epoch.
        test: Batches of (images, labels) in a fixed order, neither augmented nor with label noise.
        classes: Number of classes.
        input_shape: Shape of one image.
        sizes: Number of examples by part: `{"train": ..., "validation": ..., "test": ...}`.
        epoch_order: A callback with which a resumed run has the order and augmentation that it
            would have had without the interruption.
        noisy_labels: How many training labels were moved to another class.
        validation: What was held out of the training data, like `test`; None where nothing was.
        mean: Mean by channel, in the range of the pixels.
        std: Standard deviation by channel, in the range of the pixels.
    """

    train: tf.data.Dataset
    test: tf.data.Dataset
    classes: int
    input_shape: tuple
    sizes: dict
    epoch_order: EpochOrder
    noisy_labels: int = 0
    validation: tf.data.Dataset | None = None
    mean: tuple = (0.0,)
    std: tuple = (1.0,)

    @property
    def one_hot(self):
        """Whether labels are vectors, for a `CategoricalCrossentropy`."""
        return self.train.element_spec[1].dtype.is_floating

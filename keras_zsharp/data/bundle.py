import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class DatasetBundle:
    """A dataset ready for `model.fit(bundle.train, validation_data=bundle.test)`.

    Attributes:
        train: Shuffled batches of (images, labels), in a new order every epoch.
        test: Batches of (images, labels) in a fixed order, labels untouched.
        classes: Number of classes; labels are ints from 0 to `classes - 1`.
        input_shape: Shape of one image.
        sizes: Number of examples by split: `{"train": ..., "test": ...}`.
        noisy_labels: How many training labels were moved to another class.
    """

    train: tf.data.Dataset
    test: tf.data.Dataset
    classes: int
    input_shape: tuple
    sizes: dict
    noisy_labels: int = 0

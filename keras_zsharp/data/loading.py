import dataclasses

import numpy as np

from keras_zsharp.checks import one_of, path
from keras_zsharp.data import pipeline
from keras_zsharp.data.catalogue import DATASETS
from keras_zsharp.data.digits import digits
from keras_zsharp.data.preparing import prepared
from keras_zsharp.data.splits import InMemory, Streamed, stored_examples

NAMES = ("digits", *DATASETS)


def load(
    name,
    batch_size=256,
    augment="standard",
    label_noise=0.0,
    seed=0,
    validation=None,
    data_dir=None,
):
    """A dataset from tensorflow-datasets as batches for training and testing.

    | name | classes | images | trained and tested on |
    | --- | ---: | --- | --- |
    | `"cifar10"`, `"cifar100"` | 10, 100 | 32 x 32 | train 50,000, test 10,000 |
    | `"svhn"` | 10 | 32 x 32 | train 73,257, test 26,032 |
    | `"tiny_imagenet"` | 200 | 64 x 64 | train 100,000, validation 10,000 |
    | `"oxford_iiit_pet"` | 37 | 224 x 224 crops | train 3,680, test 3,669 |
    | `"oxford_flowers102"` | 102 | 224 x 224 crops | train 1,020, test 6,149 |
    | `"cars196"` | 196 | 224 x 224 crops | train 8,144, test 8,041 |
    | `"imagenet2012"` | 1,000 | 224 x 224 crops | train 1,281,167, validation 50,000 |
    | `"digits"` | 10 | 8 x 8 | 1,200 and 597 of scikit-learn's digits, see `digits` |

    Images of 32 and 64 pixels are kept in memory. Larger ones are read as they are needed, shuffled
    within 10,000 examples, and cropped: in the middle for testing; in training at random (8 to
    100 % of the area), whatever `augment` says.

    Args:
        name: One of the names above.
        batch_size: Examples per batch, >= 1; the last batch of an epoch may be smaller.
        augment: What happens to training images, whole batches at a time:

            - `None`: nothing but the normalization.
            - `"standard"`: a random crop out of the image with 4 pixels of zeros around it (32- and
              64-pixel images only), and mirroring (but for SVHN).
            - `"cutout"`: that, and a square of 16 pixels set to the mean, as in Li et al. 2024.
            - `"randaugment"`: that of `"standard"` and two random operations of RandAugment.
            - `"cutmix"`, `"mixup"`: that of `"standard"` and a mix of images and labels. All labels
              are one-hot then, those for testing included.

            The last three are KerasCV's layers or, where it is absent, those of the same name in
            Keras, with a warning. They draw from a state of their own: what they draw is not that
            of the epoch when a run is resumed. KerasCV's RandAugment does not repeat with the seed
            at all, the shares of its CutMix and MixUp repeat every epoch (for other images).
        label_noise: Share of the training labels moved to another class, in [0, 1], after
            `validation` is held out. Labels for validation and testing stay.
        seed: Seed of the noise, the order and the augmentation: int >= 0.
        validation: Share of the training examples to hold out, in (0, 1), or None: the last ones in
            the stored order, the same for every seed (but for the digits, which the seed orders).
        data_dir: Folder of tensorflow-datasets, by default its own, `~/tensorflow_datasets`. Data
            that is not in there is downloaded and prepared, by one process at a time; others wait.
            `imagenet2012` needs its archives in `downloads/manual` of that folder; so may
            `tiny-imagenet-200.zip` lie there.

    Returns:
        A `DatasetBundle`.

    Raises:
        ImportError: tensorflow-datasets or filelock is missing.
        OSError: `data_dir` cannot be written, and the dataset is not in there.
        RuntimeError: The dataset is neither in `data_dir` nor could it be prepared: there is no
            network, or an archive or a picture, which is named, is damaged.
        TypeError, ValueError: An argument is of the wrong type, or outside of its bounds.
    """
    one_of("name", name, *NAMES)
    options = pipeline.Options(batch_size, augment, label_noise, seed, validation)
    if data_dir is not None:
        path("data_dir", data_dir)
    if name == "digits":
        return digits(**dataclasses.asdict(options))
    dataset = DATASETS[name]
    builder = prepared(dataset.tfds_name, data_dir)
    read = _in_memory if dataset.size is None else _streamed
    bundle = pipeline.build(
        dataset,
        read(builder, dataset, dataset.train),
        read(builder, dataset, dataset.test),
        builder.info.features["label"].num_classes,
        options,
    )
    for part in bundle.pipelines:
        getattr(bundle, part)  # Is made here, where its errors belong.
    return bundle


def cifar10(**options):
    """CIFAR-10: `load("cifar10", **options)`."""
    return load("cifar10", **options)


def cifar100(**options):
    """CIFAR-100: `load("cifar100", **options)`."""
    return load("cifar100", **options)


def svhn(**options):
    """Street View House Numbers: `load("svhn", **options)`."""
    return load("svhn", **options)


def tiny_imagenet(**options):
    """Tiny-ImageNet: `load("tiny_imagenet", **options)`."""
    return load("tiny_imagenet", **options)


def _in_memory(builder, dataset, split):
    batches = stored_examples(builder, split).batch(1024)
    images, labels = zip(*batches.as_numpy_iterator(), strict=True)
    return InMemory(np.concatenate(images), np.concatenate(labels))


def _streamed(builder, dataset, split):
    size = int(stored_examples(builder, split).cardinality())
    return Streamed(builder, split, size, dataset.size)

import dataclasses
import itertools

import numpy as np

from keras_zsharp.checks import one_of, path, positive_int
from keras_zsharp.data import pipeline, ubyte
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
    train_size=None,
    noise_draw="others",
):
    """A dataset from tensorflow-datasets as batches for training and testing.

    | name | classes | images | trained and tested on |
    | --- | ---: | --- | --- |
    | `"cifar10"`, `"cifar100"` | 10, 100 | 32 x 32 | train 50,000, test 10,000 |
    | `"svhn"` | 10 | 32 x 32 | train 73,257, test 26,032 |
    | `"fashion_mnist"` | 10 | 28 x 28, one channel | train 60,000, test 10,000 |
    | `"tiny_imagenet"` | 200 | 64 x 64 | train 100,000, validation 10,000 |
    | `"oxford_iiit_pet"` | 37 | 224 x 224 crops | train 3,680, test 3,669 |
    | `"oxford_flowers102"` | 102 | 224 x 224 crops | train 1,020, test 6,149 |
    | `"cars196"` | 196 | 224 x 224 crops | train 8,144, test 8,041 |
    | `"imagenet2012"` | 1,000 | 224 x 224 crops | train 1,281,167, validation 50,000 |
    | `"digits"` | 10 | 8 x 8 | 1,200 and 597 of scikit-learn's digits, see `digits` |

    Images of up to 64 pixels are kept in memory. Larger ones are read as they are needed, shuffled
    within 10,000 examples, and cropped: in the middle for testing; in training at random (8 to
    100 % of the area), whatever `augment` says.

    Args:
        name: One of the names above.
        batch_size: Examples per batch, >= 1; the last batch of an epoch may be smaller.
        augment: What happens to training images, whole batches at a time:

            - `None`: nothing but the normalization.
            - `"standard"`: a random crop out of the image with 4 pixels of zeros around it (images
              of up to 64 pixels only), and mirroring (but for SVHN).
            - `"cutout"`: that, and a square of 16 pixels set to the mean, as in DeVries and
              Taylor 2017.
            - `"cutout_half"`: that for every second image, drawn at random, as in the released code
              of Li et al. 2024.
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
            `tiny-imagenet-200.zip` lie there. For Fashion-MNIST it may be a folder with the four
            files `*-ubyte.gz` instead, which are read without tensorflow-datasets; by default those
            of Debian's package `dataset-fashion-mnist` are taken where it is installed. Their order
            is another than that of tensorflow-datasets, and so are the batches of a seed.
        train_size: Take that many training examples, the first ones in the stored order, before
            `validation` is held out: int >= 1. By default all of them; of the digits 1,200.
        noise_draw: What the moved labels are drawn from: `draw` of `symmetric_label_noise`.

    Returns:
        A `DatasetBundle`.

    Raises:
        ImportError: tensorflow-datasets or filelock is missing, and needed.
        OSError: `data_dir` cannot be written, and the dataset is not in there.
        RuntimeError: The dataset is neither in `data_dir` nor could it be prepared: there is no
            network, or an archive, a file or a picture, which is named, is damaged.
        TypeError, ValueError: An argument is of the wrong type, or outside of its bounds.
    """
    one_of("name", name, *NAMES)
    options = pipeline.Options(batch_size, augment, label_noise, seed, validation, noise_draw)
    if data_dir is not None:
        path("data_dir", data_dir)
    if train_size is not None:
        train_size = positive_int("train_size", train_size)
    if name == "digits":
        given = {} if train_size is None else {"train_size": train_size}
        return digits(**dataclasses.asdict(options), **given)
    dataset = DATASETS[name]
    train, test, classes = _splits(dataset, data_dir)
    if train_size is not None:
        train = _first(train, train_size)
    bundle = pipeline.build(dataset, train, test, classes, options)
    for part in bundle.pipelines:
        getattr(bundle, part)  # Is made here, where its errors belong.
    return bundle


def _splits(dataset, data_dir):
    """Those for training and testing, and the number of classes."""
    if dataset.ubyte and (folder := ubyte.folder(dataset.ubyte, data_dir)):
        classes = 10
        return *(ubyte.read(folder, part, classes) for part in ("train", "test")), classes
    try:
        builder = prepared(dataset.tfds_name, data_dir)
    except (ImportError, RuntimeError) as error:
        if not dataset.ubyte:
            raise
        raise type(error)(
            f"{error} Or pass a folder with {', '.join(itertools.chain(*ubyte.FILES.values()))} as "
            f"`data_dir`; Debian's package dataset-{dataset.ubyte} has them."
        ) from error
    read = _in_memory if dataset.size is None else _streamed
    train, test = (read(builder, dataset, split) for split in (dataset.train, dataset.test))
    return train, test, builder.info.features["label"].num_classes


def _first(split, size):
    if size > split.size:
        raise ValueError(
            f"`train_size` must be at most {split.size}, of the training examples there are. "
            f"Received: train_size={size}"
        )
    return split if size == split.size else split.hold_out(split.size - size)[0]


def cifar10(**options):
    """CIFAR-10: `load("cifar10", **options)`."""
    return load("cifar10", **options)


def cifar100(**options):
    """CIFAR-100: `load("cifar100", **options)`."""
    return load("cifar100", **options)


def fashion_mnist(**options):
    """Fashion-MNIST: `load("fashion_mnist", **options)`."""
    return load("fashion_mnist", **options)


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

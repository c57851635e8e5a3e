from __future__ import annotations

import dataclasses
from typing import Any

from keras_zsharp.checks import one_of, path, positive_int
from keras_zsharp.data import human_labels, reading
from keras_zsharp.data.bundle import DatasetBundle
from keras_zsharp.data.catalogue import DATASETS
from keras_zsharp.data.digits import digits
from keras_zsharp.data.human_labels import HumanLabels
from keras_zsharp.data.noise import Draw
from keras_zsharp.data.options import Options
from keras_zsharp.typing import Path

NAMES: tuple[str, ...] = ("digits", *DATASETS)
"""What `name` of `load` may be."""


def load(
    name: str,
    batch_size: int = 256,
    augment: str | None = "standard",
    label_noise: float | HumanLabels = 0.0,
    seed: int = 0,
    validation: float | None = None,
    data_dir: Path | None = None,
    train_size: int | None = None,
    noise_draw: Draw = "others",
) -> DatasetBundle:
    """A dataset by its name, as batches for training and testing.

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

    Images of up to 64 pixels are kept in memory. Larger ones are read as they are needed, and
    shuffled within 10,000 examples. They are cropped whatever `augment` says: in the middle for
    testing; at random for training, 8 to 100 % of the area.

    Args:
        name: One of the names above.
        batch_size: Examples in a batch, >= 1. The last batch of an epoch may be smaller.
        augment: What happens to training images:

            - `None`: nothing but the normalization.
            - `"standard"`: a random crop out of the image with 4 pixels of zeros around it, for
              images of up to 64 pixels; and mirroring, but not for SVHN.
            - `"cutout"`: `"standard"`, and a square of 16 pixels set to the mean, as in DeVries and
              Taylor, arXiv:1708.04552.
            - `"cutout_half"`: `"cutout"`, but each image has a square with probability 1/2, as in
              the released code of Friendly-SAM.
            - `"randaugment"`: `"standard"`, and two random operations of RandAugment.
            - `"cutmix"`, `"mixup"`: `"standard"`, and a mix of images and labels. All labels are
              one-hot then, those for testing, too.

            The last three are layers of Keras. With `tf.data` they draw from a state of their own:
            a resumed run does not draw again what the whole run would have drawn.
        label_noise: Share of the training labels that move to another class, in [0, 1], after
            `validation` is held out. Labels for validation and testing stay. For CIFAR-10 it may
            be what people called the images instead (CIFAR-10N, Wei et al., ICLR 2022):
            `"aggregate"`, what most of three said, 9 % of it wrong; `"random1"`, what the first
            said, 17 %; `"worse"`, what one said who was wrong, if one was, 40 %.
        seed: Seed of the noise, the order and the augmentation: int >= 0.
        validation: Share of the training examples to hold out, in (0, 1): the last ones in the
            stored order, the same for every seed. (The digits' order follows from the seed.) None
            holds out nothing.
        data_dir: Folder of tensorflow-datasets. None is its default, `~/tensorflow_datasets`. Data
            that is not in there is downloaded and prepared by one process while others wait.
            `imagenet2012` needs its archives in `downloads/manual` of that folder, and people's
            labels need the three files that tensorflow-datasets' `cifar10_n` names;
            `tiny-imagenet-200.zip` may lie there, too. For Fashion-MNIST it may be a folder with
            the four files `*-ubyte.gz` instead: they are read without tensorflow-datasets. Their
            order is not that of tensorflow-datasets, so a seed gives other batches. For CIFAR-10
            it may be pictures in the folders of their classes, all or some of them, as
            `image_folder` takes them: they are read without tensorflow-datasets, too. People's
            labels are then in `human_labels.csv` beside them: `file,clean,aggregate,random1,worse`
            has a line for each picture to train on, `train/cat/0001.png,3,3,3,5`.
        train_size: Number of training examples to take, before `validation` is held out: int >= 1.
            The first ones in the stored order are taken. In that of pictures in folders the
            classes take turns. None takes all, and 1,200 of the digits.
        noise_draw: What the moved labels are drawn from: `draw` of `symmetric_label_noise`.

    Returns:
        A `DatasetBundle`.

    Raises:
        ImportError: TensorFlow, tensorflow-datasets, filelock or Pillow is needed and missing;
            Keras is too old for the layer that `augment` names.
        OSError: The dataset is not in `data_dir`, and `data_dir` cannot be written; there is no
            `human_labels.csv`.
        RuntimeError: The dataset is not in `data_dir` and could not be prepared: there is no
            network, or an archive, a file or a picture is damaged. The message names it.
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.
    """
    one_of("name", name, *NAMES)
    human, share = None, label_noise
    if name == "cifar10" and isinstance(label_noise, str):
        human, share = human_labels.check(label_noise, noise_draw), 0.0
    options = Options(batch_size, augment, share, seed, validation, noise_draw)
    if data_dir is not None:
        path("data_dir", data_dir)
    if train_size is not None:
        train_size = positive_int("train_size", train_size)
    if name == "digits":
        arguments: dict[str, Any] = dataclasses.asdict(options)
        if train_size is not None:
            arguments["train_size"] = train_size
        return digits(**arguments)
    dataset = DATASETS[name]
    return reading.read(dataset, data_dir, human).first(train_size).bundle(dataset, options)

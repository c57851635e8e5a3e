"""What the library knows about each dataset."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Dataset:
    """How to read, normalize and augment one dataset.

    Attributes:
        tfds_name: Its name in tensorflow-datasets.
        mean: Mean of each channel, in the range of the pixels.
        std: Standard deviation of each channel, in the range of the pixels.
        train: Name of the split to train on.
        test: Name of the split to test on, whose labels are public.
        crop: Side in pixels of the square crops of the images. None where all images have one size
            and fit in memory.
        padding: Pixels around the image before a random crop of its own size.
        cutout: Side of the square that cutout hides, in pixels.
        flip: Whether a mirrored image keeps its label.
        top: The largest pixel value. The lowest is 0.
        ubyte: Whether `data_dir` may be a folder with its files in MNIST's format.
        folders: The folders of its classes, in the order of the labels, where `data_dir` may be a
            folder of pictures. Else empty.
        image_shape: Height, width and channels of these pictures.
    """

    tfds_name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train: str = "train"
    test: str = "test"
    crop: int | None = None
    padding: int = 4
    cutout: int = 16
    flip: bool = True
    top: int = 255
    ubyte: bool = False
    folders: tuple[str, ...] = ()
    image_shape: tuple[int, int, int] = (32, 32, 3)


def _percent(*values):
    return tuple(255 * value for value in values)


# Means and standard deviations of the training pixels, in common use.
_IMAGENET = (_percent(0.485, 0.456, 0.406), _percent(0.229, 0.224, 0.225))
_CIFAR10 = (_percent(0.4914, 0.4822, 0.4465), _percent(0.2470, 0.2435, 0.2616))
_CIFAR100 = (_percent(0.5071, 0.4865, 0.4409), _percent(0.2673, 0.2564, 0.2762))
_TINY_IMAGENET = (_percent(0.4802, 0.4481, 0.3975), _percent(0.2770, 0.2691, 0.2821))
_FASHION_MNIST = (_percent(0.2860), _percent(0.3530))
_SVHN = (_percent(0.4377, 0.4438, 0.4728), _percent(0.1980, 0.2010, 0.1970))

_CIFAR10_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck"

DATASETS = {
    "cifar10": Dataset("cifar10", *_CIFAR10, folders=tuple(_CIFAR10_CLASSES.split())),
    "cifar100": Dataset("cifar100", *_CIFAR100),
    "tiny_imagenet": Dataset("tiny_imagenet", *_TINY_IMAGENET, test="validation"),
    "svhn": Dataset("svhn_cropped", *_SVHN, flip=False),
    "fashion_mnist": Dataset("fashion_mnist", *_FASHION_MNIST, ubyte=True),
    "oxford_iiit_pet": Dataset("oxford_iiit_pet", *_IMAGENET, crop=224, padding=0),
    "oxford_flowers102": Dataset("oxford_flowers102", *_IMAGENET, crop=224, padding=0),
    "cars196": Dataset("cars196", *_IMAGENET, crop=224, padding=0),
    "imagenet2012": Dataset("imagenet2012", *_IMAGENET, test="validation", crop=224, padding=0),
}

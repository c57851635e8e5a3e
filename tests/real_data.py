"""Real data, which are not part of the project: what needs them is skipped where they are missing.

The environment variable KERAS_ZSHARP_TEST_DATA names a folder with `cifar10/images.zip`, which has
pictures of CIFAR-10 as `image_folder` reads them and all 10,000 to test on;
`cifar10/human_labels.csv`, what people called those to train on (CIFAR-10N); and
`weights/resnet20.npz` and `resnet56.npz`, which are `numpy.savez` of the weights that
github.com/akamaster/pytorch_resnet_cifar10 has trained.
"""

import os
import pathlib

import pytest

VARIABLE = "KERAS_ZSHARP_TEST_DATA"


def real(name):
    """The path of a file of the real data."""
    if VARIABLE not in os.environ:
        pytest.skip(f"{VARIABLE} names no folder with {name}")
    path = pathlib.Path(os.environ[VARIABLE]) / name
    if not path.exists():
        pytest.skip(f"There is no {path}")
    return path

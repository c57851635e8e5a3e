"""`load` under the names of datasets."""

from __future__ import annotations

from typing import Any

from keras_zsharp.data.bundle import DatasetBundle
from keras_zsharp.data.loading import load


def cifar10(**options: Any) -> DatasetBundle:
    """CIFAR-10: `load("cifar10", **options)`.

    Args:
        **options: Arguments of `load`, but for `name`.

    Returns:
        A `DatasetBundle`.
    """
    return load("cifar10", **options)


def cifar100(**options: Any) -> DatasetBundle:
    """CIFAR-100: `load("cifar100", **options)`.

    Args:
        **options: Arguments of `load`, but for `name`.

    Returns:
        A `DatasetBundle`.
    """
    return load("cifar100", **options)


def fashion_mnist(**options: Any) -> DatasetBundle:
    """Fashion-MNIST: `load("fashion_mnist", **options)`.

    Args:
        **options: Arguments of `load`, but for `name`.

    Returns:
        A `DatasetBundle`.
    """
    return load("fashion_mnist", **options)


def svhn(**options: Any) -> DatasetBundle:
    """Street View House Numbers: `load("svhn", **options)`.

    Args:
        **options: Arguments of `load`, but for `name`.

    Returns:
        A `DatasetBundle`.
    """
    return load("svhn", **options)


def tiny_imagenet(**options: Any) -> DatasetBundle:
    """Tiny-ImageNet: `load("tiny_imagenet", **options)`.

    Args:
        **options: Arguments of `load`, but for `name`.

    Returns:
        A `DatasetBundle`.
    """
    return load("tiny_imagenet", **options)

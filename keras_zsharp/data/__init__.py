"""Datasets as `tf.data` pipelines, or as `keras.utils.PyDataset`s where there is no TensorFlow."""

from keras_zsharp.data.bundle import DatasetBundle
from keras_zsharp.data.digits import digits
from keras_zsharp.data.image_folder import image_folder
from keras_zsharp.data.loading import NAMES, load
from keras_zsharp.data.named import cifar10, cifar100, fashion_mnist, svhn, tiny_imagenet
from keras_zsharp.data.noise import symmetric_label_noise
from keras_zsharp.data.options import AUGMENTATIONS

__all__ = [
    "AUGMENTATIONS",
    "NAMES",
    "DatasetBundle",
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "image_folder",
    "load",
    "svhn",
    "symmetric_label_noise",
    "tiny_imagenet",
]

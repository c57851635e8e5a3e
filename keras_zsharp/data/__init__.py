"""Datasets as `tf.data` pipelines."""

from keras_zsharp.data.bundle import DatasetBundle
from keras_zsharp.data.digits import digits
from keras_zsharp.data.noise import symmetric_label_noise

__all__ = ["DatasetBundle", "digits", "symmetric_label_noise"]

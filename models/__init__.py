"""Builders of networks: plain functional Keras models that return logits."""

from keras_zsharp.models.cifar_resnet import (
    cifar_resnet,
    resnet20,
    resnet32,
    resnet44,
    resnet56,
    resnet110,
)
from keras_zsharp.models.deit import deit_small
from keras_zsharp.models.pyramidnet import pyramidnet110
from keras_zsharp.models.resnet import resnet18, resnet50, small_resnet
from keras_zsharp.models.small_cnn import small_cnn, strided_cnn
from keras_zsharp.models.vgg import vgg16_bn, vgg19_bn
from keras_zsharp.models.vit import small_vit, vit_7_8_8_384, vit_7_8_12_768
from keras_zsharp.models.wide_resnet import wide_resnet, wide_resnet_16_8, wide_resnet_28_10

__all__ = [
    "cifar_resnet",
    "deit_small",
    "pyramidnet110",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet110",
    "small_cnn",
    "small_resnet",
    "small_vit",
    "strided_cnn",
    "vgg16_bn",
    "vgg19_bn",
    "vit_7_8_8_384",
    "vit_7_8_12_768",
    "wide_resnet",
    "wide_resnet_16_8",
    "wide_resnet_28_10",
]

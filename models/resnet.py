"""Residual networks (He et al., CVPR 2016): the CIFAR form, ResNet-18 with its stem, ResNet-50."""

import keras
from keras import layers, ops

from keras_zsharp.models import checks
from keras_zsharp.models.blocks import batch_norm, conv, logits, relu


def cifar_resnet(depth, input_shape=(32, 32, 3), classes=10, name=None):
    """A residual network for small images, as in section 4.2 of the paper.

    A 3x3 convolution of 16 filters, three stages of (depth - 2) / 6 blocks with 16, 32 and 64
    filters, global average pooling and a dense layer. A shortcut has no parameters (option A):
    where the shape changes it takes every second pixel and fills the new channels with zeros.

    Args:
        depth: Number of layers with weights: 6n + 2 for an integer n >= 1.
        input_shape: Shape of one image: height, width, channels. Any size.
        classes: Number of logits, >= 1.
        name: Name of the model, by default `"resnet{depth}"`.

    Returns:
        A functional `keras.Model` from images to logits.

    Raises:
        ValueError: `depth` is not 6n + 2.

    Reference:
        He et al., Deep Residual Learning for Image Recognition, CVPR 2016.

    >>> cifar_resnet(20).output_shape
    (None, 10)
    """
    blocks, inputs = checks.layers_of_blocks(depth, 6, 2), checks.images(input_shape)
    checks.outputs(classes, name)
    x = relu(batch_norm(conv(inputs, 16)))
    x = _stages(x, (16, 32, 64), blocks, _zero_padded_shortcut)
    return keras.Model(inputs, logits(x, classes), name=name or f"resnet{depth}")


def resnet20(input_shape=(32, 32, 3), classes=10, name="resnet20"):
    """`cifar_resnet(20)`: 269,722 trainable parameters at 10 classes."""
    return cifar_resnet(20, input_shape, classes, name)


def resnet32(input_shape=(32, 32, 3), classes=10, name="resnet32"):
    """`cifar_resnet(32)`: 464,154 trainable parameters at 10 classes."""
    return cifar_resnet(32, input_shape, classes, name)


def resnet44(input_shape=(32, 32, 3), classes=10, name="resnet44"):
    """`cifar_resnet(44)`: 658,586 trainable parameters at 10 classes."""
    return cifar_resnet(44, input_shape, classes, name)


def resnet56(input_shape=(32, 32, 3), classes=10, name="resnet56"):
    """`cifar_resnet(56)`: 853,018 trainable parameters at 10 classes, 858,868 at 100."""
    return cifar_resnet(56, input_shape, classes, name)


def resnet110(input_shape=(32, 32, 3), classes=10, name="resnet110"):
    """`cifar_resnet(110)`: 1,727,962 trainable parameters at 10 classes."""
    return cifar_resnet(110, input_shape, classes, name)


def small_resnet(input_shape=(28, 28, 1), classes=10, name="small_resnet"):
    """`cifar_resnet(8)` for CPUs, behind a 5x5 convolution that steps by four pixels.

    >>> small_resnet().count_params()
    75738
    """
    inputs = checks.images(input_shape)
    checks.outputs(classes, name)
    x = relu(batch_norm(conv(inputs, 16, kernel_size=5, strides=4)))
    x = _stages(x, (16, 32, 64), 1, _zero_padded_shortcut)
    return keras.Model(inputs, logits(x, classes), name=name)


def resnet18(input_shape=(32, 32, 3), classes=10, name="resnet18"):
    """ResNet-18 for small images: 11,173,962 trainable parameters at 10 classes.

    Four stages of two basic blocks with 64 to 512 filters, as for ImageNet, behind a 3x3
    convolution with stride 1 in place of the 7x7 one and the pooling. Where the shape changes, the
    shortcut is a 1x1 convolution with BatchNormalization (option B).

    Args:
        input_shape: Shape of one image: height, width, channels. Any size.
        classes: Number of logits, >= 1.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from images to logits.

    Reference:
        He et al., CVPR 2016; in this form in Li et al., Friendly Sharpness-Aware Minimization,
        CVPR 2024, Tables 1 and 2.
    """
    inputs = checks.images(input_shape)
    checks.outputs(classes, name)
    x = relu(batch_norm(conv(inputs, 64)))
    x = _stages(x, (64, 128, 256, 512), 2, _projected_shortcut)
    return keras.Model(inputs, logits(x, classes), name=name)


def resnet50(input_shape=(32, 32, 3), classes=10, name="resnet50"):
    """`keras.applications.ResNet50` with random weights, returning logits: the ImageNet form.

    23,555,082 trainable parameters at 10 classes, 25,583,592 at 1,000. Keras' convolutions have
    biases, its strides are in the first convolution of a block.

    Args:
        input_shape: Shape of one image: height, width, channels; at least 32 pixels a side. The
            papers' size is (224, 224, 3).
        classes: Number of logits, >= 1.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from images to logits.

    Reference:
        He et al., CVPR 2016; in Li et al., CVPR 2024, Table 4.
    """
    inputs = checks.images(input_shape, least=32)
    checks.outputs(classes, name)
    return keras.applications.ResNet50(
        weights=None,
        input_shape=inputs.shape[1:],
        classes=classes,
        classifier_activation=None,
        name=name,
    )


def _stages(x, widths, blocks, shortcut):
    """Stages of basic blocks; all but the first begin with stride 2."""
    for stage, filters in enumerate(widths):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            y = relu(batch_norm(conv(x, filters, strides=strides)))
            y = batch_norm(conv(y, filters))
            x = relu(layers.Add()([shortcut(x, filters, strides), y]))
    return x


def _zero_padded_shortcut(x, filters, strides):
    if strides > 1:
        x = layers.AveragePooling2D(1, strides)(x)
    new = filters - x.shape[-1]
    return ops.pad(x, [[0, 0], [0, 0], [0, 0], [new // 2, new - new // 2]]) if new else x


def _projected_shortcut(x, filters, strides):
    if strides == 1 and x.shape[-1] == filters:
        return x
    return batch_norm(conv(x, filters, kernel_size=1, strides=strides))

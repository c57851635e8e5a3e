"""Other residual networks (He et al., CVPR 2016): a small one, ResNet-18 and ResNet-50."""

from __future__ import annotations

import keras

from keras_zsharp.models import checks
from keras_zsharp.models.blocks import batch_norm, conv, logits, relu
from keras_zsharp.models.checks import ImageShape
from keras_zsharp.models.stages import projected_shortcut, stages, zero_padded_shortcut


def small_resnet(
    input_shape: ImageShape = (28, 28, 1), classes: int = 10, name: str = "small_resnet"
) -> keras.Model:
    """`cifar_resnet(8)` for CPUs, behind a 5x5 convolution of stride 4.

    Args:
        input_shape: Height, width and channels of an image. Any size; height and width may be None.
        classes: Number of logits, >= 1.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from images to logits.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Example:

    >>> small_resnet().count_params()
    75738
    """
    inputs = checks.images(input_shape)
    checks.outputs(classes, name)
    x = relu(batch_norm(conv(inputs, 16, kernel_size=5, strides=4)))
    x = stages(x, (16, 32, 64), 1, zero_padded_shortcut)
    return keras.Model(inputs, logits(x, classes), name=name)


def resnet18(
    input_shape: ImageShape = (32, 32, 3), classes: int = 10, name: str = "resnet18"
) -> keras.Model:
    """ResNet-18 for small images: 11,173,962 trainable parameters at 10 classes.

    It has four stages of two basic blocks with 64 to 512 filters, as for ImageNet. A 3x3
    convolution of stride 1 takes the place of the 7x7 convolution and the pooling. Where the shape
    changes, the shortcut is a 1x1 convolution with BatchNormalization (option B).

    Args:
        input_shape: Height, width and channels of an image. Any size; height and width may be None.
        classes: Number of logits, >= 1.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from images to logits.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. This form is in Li et
        al., "Friendly Sharpness-Aware Minimization", CVPR 2024, Tables 1 and 2.
    """
    inputs = checks.images(input_shape)
    checks.outputs(classes, name)
    x = relu(batch_norm(conv(inputs, 64)))
    x = stages(x, (64, 128, 256, 512), 2, projected_shortcut)
    return keras.Model(inputs, logits(x, classes), name=name)


def resnet50(
    input_shape: ImageShape = (32, 32, 3), classes: int = 10, name: str = "resnet50"
) -> keras.Model:
    """ResNet-50 in its ImageNet form: `keras.applications.ResNet50` with random weights.

    It has 23,555,082 trainable parameters at 10 classes, 25,583,592 at 1,000. Keras' convolutions
    have biases. The stride of a block is in its first convolution.

    Args:
        input_shape: Height, width and channels of an image. Height and width are >= 32 pixels; the
            papers' images have (224, 224, 3).
        classes: Number of logits, >= 1.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from images to logits.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. It is in Li et al.,
        "Friendly Sharpness-Aware Minimization", CVPR 2024, Table 4.
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

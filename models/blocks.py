"""What the convolutional builders share: layers with the papers' settings and initial values."""

from __future__ import annotations

from typing import Any

from keras import initializers, layers


def conv(
    x: Any, filters: int, kernel_size: int = 3, strides: int = 1, use_bias: bool = False
) -> Any:
    """A convolution padded by `kernel_size // 2` on every side, weights from He et al. 2015.

    The weights are drawn from N(0, 2 / (kernel_size² filters)). The padding is a layer of its own
    because Keras pads a strided `"same"` convolution on the right and the bottom only. Its windows
    would then lie beside the pixels that a strided shortcut takes.
    """
    if strides > 1 and kernel_size > 1:
        x = layers.ZeroPadding2D(kernel_size // 2)(x)
    padding = "valid" if strides > 1 else "same"
    initializer = initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    return layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding,
        use_bias=use_bias,
        kernel_initializer=initializer,
    )(x)


def batch_norm(x: Any) -> Any:
    """BatchNormalization with the papers' settings. `momentum` has Keras' sense."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def relu(x: Any) -> Any:
    return layers.ReLU()(x)


def logits(x: Any, classes: int) -> Any:
    """Global average pooling and a dense layer with weights from U(±1 / sqrt(its inputs))."""
    x = layers.GlobalAveragePooling2D()(x)
    initializer = initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    return layers.Dense(classes, kernel_initializer=initializer, name="logits")(x)

"""What the convolutional builders share: layers with the papers' settings and initial values."""

from keras import initializers, layers


def conv(x, filters, kernel_size=3, strides=1, use_bias=False):
    """A convolution padded by `kernel_size // 2` on every side, weights from He et al. 2015.

    The weights are drawn from N(0, 2 / (kernel_size² filters)). Keras pads a strided `"same"`
    convolution on the right and the bottom only, which would move its windows off the pixels that
    a strided shortcut takes; hence the explicit padding.
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


def batch_norm(x):
    """BatchNormalization with the sources' settings; `momentum` in Keras' sense."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def relu(x):
    return layers.ReLU()(x)


def logits(x, classes):
    """Global average pooling and a dense layer, uniform within ±1 / sqrt(its inputs)."""
    x = layers.GlobalAveragePooling2D()(x)
    initializer = initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    return layers.Dense(classes, kernel_initializer=initializer, name="logits")(x)

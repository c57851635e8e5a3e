import keras
from keras import layers

from keras_zsharp.models import checks


def small_cnn(input_shape=(8, 8, 1), classes=10, name="small_cnn"):
    """Four convolutions for small images: trains in seconds on a CPU.

    Two 3x3 convolution-BatchNormalization-ReLU blocks of 32 filters, 2x2 max-pooling, two of 64,
    global average pooling, and a dense layer. BatchNormalization forgets fast (momentum 0.9), for
    runs of few steps.

    Args:
        input_shape: Shape of one image: height, width, channels.
        classes: Number of logits.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from images to logits.

    >>> small_cnn().count_params()
    66218
    """
    return _cnn((32, 64), 1, input_shape, classes, name)


def strided_cnn(input_shape=(28, 28, 1), classes=10, name="strided_cnn"):
    """`small_cnn` for larger images, at a fifteenth of its work per pixel.

    Blocks have 16 and 32 filters, and the first convolution steps by two pixels.

    >>> strided_cnn().count_params()
    16986
    """
    return _cnn((16, 32), 2, input_shape, classes, name)


def _cnn(filters, strides, input_shape, classes, name):
    inputs = x = checks.images(input_shape)
    checks.outputs(classes, name)
    first, second = filters
    for number, width in enumerate((first, first, second, second)):
        if number == 2:
            x = layers.MaxPooling2D()(x)
        step = strides if number == 0 else 1
        x = layers.Conv2D(width, 3, step, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes)(x), name=name)

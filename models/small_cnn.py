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
    inputs = x = checks.images(input_shape)
    checks.outputs(classes, name)
    for block, filters in enumerate((32, 32, 64, 64)):
        if block == 2:
            x = layers.MaxPooling2D()(x)
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes)(x), name=name)

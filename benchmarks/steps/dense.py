"""A network of two layers, with so little to compute that the step's own work shows."""


def dense(keras):
    """Builds it.

    Args:
        keras: Keras 3 or Keras 2.
    """
    inputs = keras.Input((32, 32, 3))
    hidden = keras.layers.Dense(128, activation="relu")(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Dense(10)(hidden))

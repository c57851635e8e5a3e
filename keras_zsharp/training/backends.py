"""Which of Keras' backends there is a step for."""

import keras


def check_backend():
    """The step is TensorFlow's."""
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "keras_zsharp trains on Keras' TensorFlow backend. Set KERAS_BACKEND=tensorflow "
            f"before importing keras. Received: backend {keras.backend.backend()!r}"
        )

"""TensorFlow where it is used, and not before: whoever trains on another backend needs none."""

import importlib

import keras


class _TensorFlow:
    def __getattr__(self, name):
        try:
            module = importlib.import_module("tensorflow")
        except ImportError as error:
            raise ImportError(
                "`tf.data` pipelines are TensorFlow's, whatever Keras' backend is: "
                "pip install tensorflow"
            ) from error
        return getattr(module, name)


tf = _TensorFlow()


def check_on_tensorflow(what):
    """Refuses what is computed on Keras' TensorFlow backend alone."""
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"{what} needs Keras' TensorFlow backend. Save the weights, and load them where "
            f"KERAS_BACKEND=tensorflow. Received: backend {keras.backend.backend()!r}"
        )

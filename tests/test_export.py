"""What is exported predicts as the model does, before and after training, or says why it cannot."""

import importlib.util

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_zsharp import SharpnessAwareModel, SharpnessAwareTraining, plain, sharpness_aware
from tests.tiers import crossed

RANDOM = np.random.default_rng(0)
NUMBERS, WORDS = (
    RANDOM.normal(size=(12, 5)).astype("float32"),
    RANDOM.integers(0, 9, (12, 5), "int32"),
)
Y = np.ones((12, 1), "float32")


def functional():
    inputs = keras.Input((5,))
    hidden = layers.BatchNormalization()(layers.Dense(4, activation="tanh")(inputs))
    return keras.Model(inputs, layers.Dense(1)(hidden))


def of_words():
    parts = [layers.Embedding(9, 2), layers.Flatten(), layers.Dense(1)]
    return keras.Sequential([keras.Input((5,), dtype="int32"), *parts])


def of_two():
    inputs = [keras.Input((5,), name="a"), keras.Input((5,), name="b")]
    return keras.Model(inputs, layers.Dense(1)(layers.concatenate(inputs)))


def unbuilt():
    return keras.Sequential([layers.Dense(4, activation="tanh"), layers.Dense(1)])


class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.head = layers.Dense(4, activation="tanh"), layers.Dense(1)

    def call(self, inputs):
        return self.head(self.hidden(inputs))


class Mixed(SharpnessAwareTraining, Subclassed):
    pass


NETS = {
    "functional": (functional, NUMBERS),
    "of_words": (of_words, WORDS),
    "of_two": (of_two, [NUMBERS, NUMBERS]),
    "unbuilt": (unbuilt, NUMBERS),
    "subclassed": (Subclassed, NUMBERS),
}
WAYS = {
    "wrapped": lambda net: SharpnessAwareModel(net, "friendly_sam"),
    "in_place": lambda net: sharpness_aware(net, "friendly_sam"),
    "mixin": lambda net: Mixed(rule="friendly_sam"),
}
CELLS = [(net, way) for net in NETS for way in WAYS if way != "mixin" or net == "subclassed"]


def exported(model, folder):
    model.export(folder, verbose=False)
    return tf.saved_model.load(folder)


def saved(model, folder):
    tf.saved_model.save(model, folder)
    return tf.saved_model.load(folder)


def served(loaded, x):
    signature = loaded.signatures["serving_default"]
    names = sorted(signature.structured_input_signature[1])
    inputs = map(tf.constant, keras.tree.flatten(x))
    [output] = signature(**dict(zip(names, inputs, strict=True))).values()
    return output


def interpreted(converted, x):
    interpreter = tf.lite.Interpreter(model_content=converted)
    places, arrays = interpreter.get_input_details(), keras.tree.flatten(x)
    for place, array in zip(places, arrays, strict=True):
        interpreter.resize_tensor_input(place["index"], array.shape)
    interpreter.allocate_tensors()
    for place, array in zip(places, arrays, strict=True):
        interpreter.set_tensor(place["index"], array)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def converted(model):
    return tf.lite.TFLiteConverter.from_keras_model(model).convert()


def made(net, way, trained):
    make, x = NETS[net]
    model = WAYS[way](make())
    if trained:
        model.compile("sgd", "mse")
        model.fit(x, Y, epochs=2, verbose=0)
    elif net in ("unbuilt", "subclassed"):
        model(x)
    return model, x, np.asarray(model(x, training=False))


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize(("net", "way"), crossed(CELLS, default=[("functional", "wrapped")]))
def test_saved_model(net, way, trained, tmp_path):
    model, x, expected = made(net, way, trained)
    for write in (exported, saved):
        loaded = write(model, tmp_path / write.__name__)
        np.testing.assert_allclose(served(loaded, x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("trained", crossed([False, True], default=[True]))
@pytest.mark.parametrize(("net", "way"), crossed(CELLS, default=[("functional", "wrapped")]))
def test_tflite(net, way, trained):
    model, x, expected = made(net, way, trained)
    if way == "wrapped" and not (trained and net in ("unbuilt", "subclassed")):
        with pytest.raises(ValueError, match=r"Convert the model inside, .*plain\(model\)"):
            converted(model)
        model = plain(model)
    np.testing.assert_allclose(interpreted(converted(model), x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.matrix
@pytest.mark.parametrize("way", WAYS)
def test_onnx_asks_for_what_plain_keras_asks_for(way, tmp_path):
    if importlib.util.find_spec("onnx"):
        pytest.skip("onnx is there")
    model, *_ = made("subclassed", way, trained=True)
    with pytest.raises(ModuleNotFoundError, match="onnx"):
        model.export(tmp_path / "model.onnx", format="onnx", verbose=False)


@pytest.mark.matrix
@pytest.mark.parametrize("way", WAYS)
def test_a_model_that_was_never_called_has_no_signature(way, tmp_path):
    model = WAYS[way](Subclassed())
    with pytest.raises(ValueError, match="must be built before export"):
        model.export(tmp_path / "exported", verbose=False)

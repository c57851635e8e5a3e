"""What Keras users train: a table of models with data, losses and `fit` arguments.

What draws noise has a seed: without one, PyTorch would draw all noise from one generator, which
data loaders draw from as well.
"""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers, ops

BACKEND = keras.backend.backend()
SAMPLES = 12
GRAPH, XLA = {
    "tensorflow": ({"jit_compile": False}, {"jit_compile": True}),
    "jax": ({"jit_compile": True}, {"jit_compile": True}),
    "torch": ({"jit_compile": False}, {"jit_compile": False}),
}[BACKEND]
traced = pytest.mark.skipif(BACKEND == "torch", reason="PyTorch traces nothing")
MODES = {"eager": {"run_eagerly": True}, "graph": GRAPH, "xla": XLA}
"""JAX has no graph without XLA, and PyTorch runs as it is written."""
OUTSIDE_XLA = ("eager", "graph")
in_every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


def assert_same(left, right):
    for ours, theirs in zip(left, right, strict=True):
        np.testing.assert_array_equal(*map(ops.convert_to_numpy, (ours, theirs)))


@dataclasses.dataclass
class Case:
    build: callable
    x: object
    y: object
    loss: object = "mse"
    loss_weights: object = None
    fit: dict = dataclasses.field(default_factory=dict)


def normal(*shape):
    return np.random.default_rng(sum(shape)).normal(size=(SAMPLES, *shape)).astype("float32")


def tokens(high, length):
    return np.random.default_rng(1).integers(0, high, size=(SAMPLES, length))


CLASSES = np.arange(SAMPLES) % 3
SPARSE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def sequential():
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.3, seed=1),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def regularized():
    inputs = keras.Input((5,))
    x = layers.Dense(6, activation="tanh", kernel_regularizer="l2", bias_regularizer="l1")(inputs)
    x = layers.Dense(4, activity_regularizer=keras.regularizers.L2(0.1))(x)
    return keras.Model(inputs, layers.Dense(1)(x))


class Subclassed(keras.Model):
    """Makes its layers in the constructor, their weights at the first call."""

    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(6, activation="relu", kernel_regularizer="l2")
        self.dropout = layers.Dropout(0.5, seed=1)
        self.head = layers.Dense(1)

    def call(self, inputs, training=None):
        return self.head(self.dropout(self.hidden(inputs), training=training))


class NoTrainingArgument(keras.Model):
    def __init__(self):
        super().__init__()
        self.head = layers.Dense(1)

    def call(self, inputs):
        return self.head(inputs)


def built_subclassed():
    model = Subclassed()
    model(normal(5))
    return model


class AddLoss(layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones")

    def call(self, inputs):
        self.add_loss(0.1 * ops.mean(ops.square(inputs * self.scale)))
        return inputs * self.scale


def add_loss():
    inputs = keras.Input((5,))
    return keras.Model(inputs, layers.Dense(1)(AddLoss()(layers.Dense(4)(inputs))))


def dict_inputs():
    inputs = {"a": keras.Input((3,), name="a"), "b": keras.Input((4,), name="b")}
    x = layers.Concatenate()([layers.Dense(4)(inputs["a"]), layers.Dense(4)(inputs["b"])])
    return keras.Model(inputs, layers.Dense(1)(x))


def list_inputs():
    inputs = [keras.Input((3,)), keras.Input((4,))]
    x = layers.Concatenate()([layers.Dense(4)(i) for i in inputs])
    return keras.Model(inputs, layers.Dense(1)(x))


def two_outputs():
    inputs = keras.Input((5,))
    x = layers.Dense(6, activation="tanh")(inputs)
    return keras.Model(inputs, [layers.Dense(3, name="kind")(x), layers.Dense(1, name="size")(x)])


def dict_outputs():
    inputs = keras.Input((5,))
    x = layers.Dense(6, activation="tanh")(inputs)
    return keras.Model(
        inputs, {"kind": layers.Dense(3, name="kind")(x), "size": layers.Dense(1, name="size")(x)}
    )


def unused_head():
    inputs = keras.Input((5,))
    x = layers.Dense(6, activation="tanh")(inputs)
    return keras.Model(inputs, [layers.Dense(1, name="used")(x), layers.Dense(1, name="idle")(x)])


def frozen_layer():
    inputs = keras.Input((5,))
    frozen = layers.Dense(6, activation="tanh", kernel_regularizer="l2", trainable=False)
    x = layers.BatchNormalization(trainable=False)(frozen(inputs))
    return keras.Model(inputs, layers.Dense(1)(x))


def shared_and_nested():
    block = keras.Sequential([layers.Dense(5, activation="tanh"), layers.BatchNormalization()])
    inner_inputs = keras.Input((5,))
    inner = keras.Model(inner_inputs, block(inner_inputs) + inner_inputs)
    inputs = keras.Input((5,))
    return keras.Model(inputs, layers.Dense(1)(block(inner(inner(inputs)))))


def embedding_lstm():
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(11, 4, mask_zero=True, embeddings_regularizer="l2")(inputs)
    x = layers.LSTM(5, dropout=0.2, recurrent_dropout=0.2, seed=2, return_sequences=True)(x)
    return keras.Model(inputs, layers.Dense(11)(x))


def sparse_gradients():
    """No regularizer makes the embedding's gradient dense, and no dropout."""
    inputs = keras.Input((7,), dtype="int32")
    return keras.Model(inputs, layers.Dense(1)(layers.LSTM(5)(layers.Embedding(11, 4)(inputs))))


def attention():
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(11, 8)(inputs)
    x = x + layers.MultiHeadAttention(2, 4, dropout=0.1, seed=1)(layers.LayerNormalization()(x), x)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


class Token(layers.Layer):
    """Repeats a weight for every example: in a graph, what follows has no static shape."""

    def build(self, input_shape):
        self.token = self.add_weight((1, 1, input_shape[-1]), name="token")

    def call(self, inputs):
        token = ops.tile(self.token, (ops.shape(inputs)[0], 1, 1))
        return ops.concatenate([token, inputs], axis=1)


def skip_in_the_lowest_version(why):
    """Of Keras that pyproject.toml allows."""
    if keras.version().startswith("3.8."):
        pytest.skip(f"Keras 3.8 {why}")


def token():
    skip_in_the_lowest_version("does not know the shape of what is concatenated")
    inputs = keras.Input((6, 3))
    x = layers.Dense(4, activation="tanh")(Token()(inputs))
    return keras.Model(inputs, layers.Dense(1)(layers.Flatten()(x)))


class DropoutCell(layers.Layer):
    """A recurrent cell that draws a new dropout mask at every time step, within the loop.

    But for JAX, where Keras cannot draw within a loop.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.state_size = self.units = units
        self.dense = layers.Dense(units, activation="tanh")
        self.dropout = layers.Dropout(0.0 if BACKEND == "jax" else 0.4, seed=3)

    def build(self, input_shape):
        self.dense.build((input_shape[0], input_shape[-1] + self.units))

    def call(self, inputs, states, training=None):
        state = self.dense(ops.concatenate([inputs, states[0]], axis=-1))
        return self.dropout(state, training=training), [state]


def custom_cell():
    inputs = keras.Input((6, 3))
    return keras.Model(inputs, layers.Dense(1)(layers.RNN(DropoutCell(4))(inputs)))


def spectral():
    inputs = keras.Input((5,))
    x = layers.SpectralNormalization(layers.Dense(6, activation="tanh"))(inputs)
    return keras.Model(inputs, layers.Dense(1)(x))


def time_distributed():
    return keras.Sequential(
        [
            keras.Input((6, 3)),
            layers.TimeDistributed(layers.Dropout(0.3, seed=1)),
            layers.TimeDistributed(layers.BatchNormalization()),
            layers.TimeDistributed(layers.Dense(4)),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )


def everything():
    """A bit of all of the others, for what crosses them with the arguments of the step."""
    words, sizes = keras.Input((7,), dtype="int32", name="words"), keras.Input((5,), name="sizes")
    x = layers.Embedding(11, 4, mask_zero=True, embeddings_regularizer="l2")(words)
    x = layers.LSTM(5, dropout=0.2, recurrent_dropout=0.2, seed=2)(x)
    frozen = layers.Dense(4, activation="tanh", kernel_regularizer="l2", trainable=False)(sizes)
    x = layers.BatchNormalization()(layers.Concatenate()([x, frozen]))
    x = layers.Dense(6, activation="tanh", activity_regularizer="l2")(AddLoss()(x))
    x = layers.Dropout(0.3, seed=1)(x)
    heads = {"kind": 3, "size": 1, "idle": 1}
    return keras.Model(
        {"words": words, "sizes": sizes},
        [layers.Dense(units, name=name)(x) for name, units in heads.items()],
    )


def dense():
    return keras.Sequential([layers.Dense(6, activation="tanh"), layers.Dense(3)])


TWO = [CLASSES, normal(1)]
CASES = {
    "everything": Case(
        everything,
        {"words": tokens(11, 7), "sizes": normal(5)},
        [*TWO, normal(1)],
        [SPARSE, "mse", None],
        [1.0, 0.3, None],
        fit={"sample_weight": [np.linspace(0, 2, SAMPLES), *[np.ones(SAMPLES)] * 2]},
    ),
    "sequential": Case(sequential, normal(6, 6, 2), CLASSES, SPARSE),
    "unbuilt_sequential": Case(dense, normal(5), CLASSES, SPARSE),
    "regularized": Case(regularized, normal(5), normal(1)),
    "subclassed": Case(Subclassed, normal(5), normal(1)),
    "built_subclassed": Case(built_subclassed, normal(5), normal(1)),
    "no_training_argument": Case(NoTrainingArgument, normal(5), normal(1)),
    "add_loss": Case(add_loss, normal(5), normal(1)),
    "dict_inputs": Case(dict_inputs, {"a": normal(3), "b": normal(4)}, normal(1)),
    "list_inputs": Case(list_inputs, [normal(3), normal(4)], normal(1)),
    "two_outputs": Case(
        two_outputs, normal(5), TWO, {"kind": SPARSE, "size": "mse"}, {"kind": 1.0, "size": 0.3}
    ),
    "dict_outputs": Case(
        dict_outputs,
        normal(5),
        {"kind": CLASSES, "size": normal(1)},
        {"kind": SPARSE, "size": "mse"},
    ),
    "unused_head": Case(unused_head, normal(5), [normal(1), normal(1)], ["mse", None]),
    "frozen_layer": Case(frozen_layer, normal(5), normal(1)),
    "shared_and_nested": Case(shared_and_nested, normal(5), normal(1)),
    "embedding_lstm": Case(embedding_lstm, tokens(11, 7), tokens(11, 7), SPARSE),
    "sparse_gradients": Case(sparse_gradients, tokens(11, 7), normal(1)),
    "attention": Case(attention, tokens(11, 7), CLASSES, SPARSE),
    "token": Case(token, normal(6, 3), normal(1)),
    "custom_cell": Case(custom_cell, normal(6, 3), normal(1)),
    "time_distributed": Case(time_distributed, normal(6, 3), normal(1)),
    "spectral": Case(spectral, normal(5), normal(1)),
    "sample_weight": Case(
        dense, normal(5), CLASSES, SPARSE, fit={"sample_weight": np.linspace(0, 2, SAMPLES)}
    ),
    "class_weight": Case(
        dense, normal(5), CLASSES, SPARSE, fit={"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}}
    ),
}

"""Models as in Keras' code examples train with rho = 0 as plain Keras trains them, bit for bit."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from keras_zsharp import SharpnessAwareModel, sharpness_aware
from tests.still import still
from tests.training.cases import assert_same

RANDOM = np.random.default_rng(0)
SIZE = 24
TOKENS = RANDOM.integers(1, 20, (SIZE, 8))
IMAGES = RANDOM.normal(size=(SIZE, 16, 16, 3)).astype("float32")
SERIES = RANDOM.normal(size=(SIZE, 12, 3)).astype("float32")
LABELS = RANDOM.integers(0, 4, SIZE)
TARGETS = RANDOM.normal(size=(SIZE, 1)).astype("float32")
MASKS = RANDOM.integers(0, 4, (SIZE, 16, 16, 1))
KINDS = RANDOM.choice(["a", "b", "c"], (SIZE, 1))
FRAMES = RANDOM.normal(size=(SIZE, 3, 8, 8, 1)).astype("float32")
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def bidirectional_lstm():
    inputs = keras.Input((None,), dtype="int32")
    x = layers.Embedding(20, 8, mask_zero=True)(inputs)
    x = layers.Bidirectional(layers.LSTM(6, return_sequences=True))(x)
    x = layers.Bidirectional(layers.LSTM(6))(x)
    return keras.Model(inputs, layers.Dense(4)(x)), TOKENS, LABELS, CROSS_ENTROPY


class TokenAndPosition(layers.Layer):
    def __init__(self):
        super().__init__()
        self.tokens, self.positions = layers.Embedding(20, 8), layers.Embedding(8, 8)

    def call(self, x):
        return self.tokens(x) + self.positions(ops.arange(0, ops.shape(x)[-1]))


class TransformerBlock(layers.Layer):
    def __init__(self):
        super().__init__()
        self.attention = layers.MultiHeadAttention(2, 4, dropout=0.1)
        self.feed = keras.Sequential([layers.Dense(8, activation="relu"), layers.Dense(8)])
        self.norms = [layers.LayerNormalization(epsilon=1e-6) for _ in range(2)]
        self.dropout = layers.Dropout(0.1)

    def call(self, inputs, training=None):
        x = self.norms[0](inputs + self.attention(inputs, inputs))
        return self.norms[1](x + self.dropout(self.feed(x), training=training))


def text_transformer():
    inputs = keras.Input((8,), dtype="int32")
    x = layers.GlobalAveragePooling1D()(TransformerBlock()(TokenAndPosition()(inputs)))
    x = layers.Dropout(0.1)(x)
    outputs = layers.Dense(4, activation="softmax")(x)
    return keras.Model(inputs, outputs), TOKENS, LABELS, "sparse_categorical_crossentropy"


def augmented_xception():
    inputs = x = keras.Input((16, 16, 3))
    for augmentation in (layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)):
        x = augmentation(x)
    x = layers.Rescaling(1 / 255)(x)
    previous = x = layers.Conv2D(8, 3, 2, "same")(x)
    x = layers.SeparableConv2D(12, 3, padding="same")(layers.Activation("relu")(x))
    x = layers.MaxPooling2D(3, 2, "same")(layers.BatchNormalization()(x))
    x = layers.add([x, layers.Conv2D(12, 1, 2, "same")(previous)])
    x = layers.Dropout(0.25)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(4)(x)), IMAGES, LABELS, CROSS_ENTROPY


def unet():
    inputs = keras.Input((16, 16, 3))
    down = layers.Conv2D(4, 3, 2, "same", activation="relu")(inputs)
    up = layers.Conv2DTranspose(4, 3, activation="relu", padding="same")(down)
    up = layers.UpSampling2D(2)(layers.BatchNormalization()(up))
    up = layers.concatenate([up, inputs])
    outputs = layers.Conv2D(4, 3, activation="softmax", padding="same")(up)
    return keras.Model(inputs, outputs), IMAGES, MASKS, "sparse_categorical_crossentropy"


class PatchEncoder(layers.Layer):
    def __init__(self):
        super().__init__()
        self.projection, self.positions = layers.Dense(8), layers.Embedding(16, 8)

    def call(self, images):
        patches = ops.image.extract_patches(images, size=4)
        patches = ops.reshape(patches, (ops.shape(images)[0], 16, 48))
        return self.projection(patches) + self.positions(ops.expand_dims(ops.arange(16), 0))


def vision_transformer():
    inputs = keras.Input((16, 16, 3))
    normalized = layers.Normalization()
    normalized.adapt(IMAGES)
    x = TransformerBlock()(PatchEncoder()(normalized(inputs)))
    x = layers.Flatten()(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(4)(x)), IMAGES, LABELS, CROSS_ENTROPY


def structured_data():
    """Named inputs, of which one is text."""
    data = {"age": TARGETS, "kind": KINDS}
    age, kind = keras.Input((1,), name="age"), keras.Input((1,), name="kind", dtype="string")
    normalization = layers.Normalization()
    normalization.adapt(data["age"])
    lookup = layers.StringLookup(vocabulary=["a", "b", "c"], output_mode="one_hot")
    x = layers.concatenate([normalization(age), lookup(kind)])
    x = layers.Dropout(0.5)(layers.Dense(8, activation="relu")(x))
    outputs = layers.Dense(1, activation="sigmoid")(x)
    batches = tf.data.Dataset.from_tensor_slices((data, LABELS % 2)).batch(8)
    return keras.Model([age, kind], outputs), batches, None, "binary_crossentropy"


class WithLoss(layers.Layer):
    """CTC and variational layers add the loss to what passes."""

    def call(self, inputs):
        self.add_loss(0.1 * ops.mean(ops.square(inputs)))
        return inputs


def variational_bottleneck():
    class Sampling(layers.Layer):
        def __init__(self):
            super().__init__()
            self.seeds = keras.random.SeedGenerator(1337)

        def call(self, inputs):
            mean, log_variance = inputs
            noise = keras.random.normal(ops.shape(mean), seed=self.seeds)
            return mean + ops.exp(0.5 * log_variance) * noise

    inputs = keras.Input((12, 3))
    x = layers.Flatten()(inputs)
    z = Sampling()([layers.Dense(2)(x), layers.Dense(2)(x)])
    outputs = layers.Reshape((12, 3))(layers.Dense(36)(WithLoss()(z)))
    return keras.Model(inputs, outputs), SERIES, SERIES, "mse"


class Endpoint(layers.Layer):
    """Computes the loss in the model, which takes the targets for an input."""

    def call(self, logits, targets=None):
        if targets is not None:
            self.add_loss(ops.mean(ops.square(logits - targets)))
        return logits


def endpoint_layer():
    inputs, targets = keras.Input((12, 3), name="inputs"), keras.Input((1,), name="targets")
    outputs = Endpoint()(layers.Dense(1)(layers.GRU(6)(inputs)), targets)
    return keras.Model([inputs, targets], outputs), [SERIES, TARGETS], None, None


def recurrent_convolutions():
    parts = [
        layers.ConvLSTM2D(4, 3, padding="same", return_sequences=True),
        layers.BatchNormalization(),
        layers.Conv3D(1, 3, activation="sigmoid", padding="same"),
    ]
    model = keras.Sequential([keras.Input((None, 8, 8, 1)), *parts])
    return model, FRAMES, (FRAMES > 0).astype("float32"), "binary_crossentropy"


class Wavenet(keras.Model):
    """Subclassed, with gates and skips, as the audio examples."""

    def __init__(self):
        super().__init__()
        self.gates = [layers.Conv1D(8, 2, padding="causal", dilation_rate=d) for d in (1, 2, 4)]
        self.skips = [layers.Conv1D(8, 1) for _ in self.gates]
        self.head = layers.Dense(4)

    def call(self, x, training=False):
        total = 0
        for gate, skip in zip(self.gates, self.skips, strict=True):
            x = skip(ops.tanh(gate(x)) * ops.sigmoid(gate(x)))
            total = total + x
        return self.head(ops.mean(total, axis=1))


def wavenet():
    return Wavenet(), SERIES, LABELS, CROSS_ENTROPY


class OrthogonalRegularizer(keras.regularizers.Regularizer):
    def __call__(self, x):
        x = ops.reshape(x, (-1, 3, 3))
        return 0.001 * ops.sum(ops.square(x @ ops.transpose(x, (0, 2, 1)) - ops.eye(3)))


def point_net():
    inputs = keras.Input((12, 3))
    x = layers.GlobalMaxPooling1D()(layers.Conv1D(8, 1, activation="relu")(inputs))
    turn = layers.Dense(9, kernel_initializer="zeros", activity_regularizer=OrthogonalRegularizer())
    x = layers.Dot(axes=(2, 1))([inputs, layers.Reshape((3, 3))(turn(x))])
    x = layers.GlobalMaxPooling1D()(layers.BatchNormalization(momentum=0.0)(x))
    return keras.Model(inputs, layers.Dense(4)(x)), SERIES, LABELS, CROSS_ENTROPY


def several_outputs():
    inputs = keras.Input((12, 3))
    x = layers.GRU(6, recurrent_dropout=0.2)(inputs)
    heads = {"kind": layers.Dense(4)(x), "value": layers.Dense(1)(x)}
    targets = {"kind": LABELS, "value": TARGETS}
    losses = {"kind": CROSS_ENTROPY, "value": "huber"}
    return keras.Model(inputs, heads), SERIES, targets, losses


def mixture_of_experts():
    inputs = keras.Input((12, 3))
    x = layers.Flatten()(inputs)
    experts = ops.stack([layers.Dense(4, activation="gelu")(x) for _ in range(3)], axis=1)
    chosen = layers.Dense(3, activation="softmax")(x)
    x = ops.einsum("be,bed->bd", chosen, experts)
    x = layers.Dense(4, kernel_constraint="max_norm")(layers.GaussianNoise(0.1)(x))
    return keras.Model(inputs, x), SERIES, LABELS, CROSS_ENTROPY


MODELS = (
    *(bidirectional_lstm, text_transformer, augmented_xception, unet, vision_transformer),
    *(structured_data, variational_bottleneck, endpoint_layer, recurrent_convolutions, wavenet),
    *(point_net, several_outputs, mixture_of_experts),
)


# Their graphs add parts of a gradient in an order of their own, in plain Keras too.
EAGER = variational_bottleneck, wavenet


def end(make, way, *rule):
    """The weights after two epochs, and what the losses were."""
    keras.utils.set_random_seed(0)
    net, x, y, loss = make()
    model = way(net, *rule)
    optimizer = keras.optimizers.AdamW(0.01, clipnorm=1.0)
    model.compile(optimizer, loss, run_eagerly=make in EAGER)
    history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    evaluated = model.evaluate(x, y, batch_size=8, verbose=0)
    return [w.numpy() for w in net.trainable_variables], [*history["loss"], evaluated]


@pytest.mark.slow
@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_trains_as_plain_keras(make):
    expected, losses = end(make, lambda net: net)
    for way in (SharpnessAwareModel, sharpness_aware):
        weights, found = end(make, way, still())
        assert_same(weights, expected)
        assert found == losses

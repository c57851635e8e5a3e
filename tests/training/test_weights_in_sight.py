"""Weights are seen in both passes wherever they are read, or the model is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_zsharp import SAM, SharpnessAwareModel
from keras_zsharp.flatness import ball_loss
from tests.still import still
from tests.tiers import crossed
from tests.training.cases import MODES, assert_same, normal

X, Y = normal(5), normal(1)
SETTINGS = {
    "plain": {},
    "perturb_every": {"perturb_every": 2},
    "micro_batches": {"micro_batches": 2, "mean_of_parts": True},
}


def recomputed(layer, inputs):
    return tf.recompute_grad(layer.activated)(inputs)


def rematerialized(layer, inputs):
    return keras.remat(layer.activated)(inputs)


def with_a_gradient_of_its_own(layer, inputs):
    """Three times the right one, so that it can be told from what TensorFlow finds."""

    @tf.custom_gradient
    def product(x):
        kernel = tf.convert_to_tensor(layer.kernel)

        def gradient(upstream, variables):
            of_the_kernel = 3 * tf.transpose(x) @ upstream
            return upstream @ tf.transpose(kernel), [of_the_kernel for _ in variables]

        return x @ kernel, gradient

    return tf.tanh(product(inputs) + layer.bias)


def in_a_branch(layer, inputs):
    return tf.cond(
        tf.reduce_sum(inputs) > -100, lambda: layer.activated(inputs), lambda: inputs[:, :4]
    )


def in_a_loop(layer, inputs):
    return tf.map_fn(lambda row: layer.activated(row[None])[0], inputs)


SEEN = {
    f.__name__: f
    for f in (
        recomputed,
        rematerialized,
        with_a_gradient_of_its_own,
        in_a_branch,
        in_a_loop,
    )
}


class Reading(layers.Dense):
    """Computes what `Dense` does in the way that `read` reads its weights."""

    def __init__(self, read):
        super().__init__(4)
        self.read = read

    def activated(self, inputs):
        return tf.tanh(inputs @ tf.convert_to_tensor(self.kernel) + self.bias)

    def call(self, inputs):
        return self.read(self, inputs)


def network(read):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((5,)), Reading(read), layers.Dense(1)])


def trained(model, mode, loss="mse"):
    model.compile(keras.optimizers.SGD(0.1), loss, **MODES[mode])
    model.fit(X, Y, batch_size=len(X), epochs=3, shuffle=False, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize(
    ("name", "mode"),
    crossed(
        [(name, mode) for name in SEEN for mode in MODES],
        [("rematerialized", "eager"), ("rematerialized", "graph")],
    ),
)
def test_trains_as_plain_keras(name, mode):
    plain = trained(network(SEEN[name]), mode)
    net = network(SEEN[name])
    trained(SharpnessAwareModel(net, still()), mode)
    assert_same(net.get_weights(), plain)


@pytest.mark.parametrize("mode", crossed(MODES, []))
def test_remat_scope_trains_as_plain_keras(mode):
    if not hasattr(keras, "RematScope"):
        pytest.skip("Keras 3.8 has no RematScope")

    def network():
        keras.utils.set_random_seed(0)
        with keras.RematScope(mode="full"):
            # Keras layers with a `training` argument fail in a graph, in plain Keras too.
            hidden = Reading(Reading.activated)
        return keras.Sequential([keras.Input((5,)), hidden, layers.Dense(1)])

    plain = trained(network(), mode)
    net = network()
    trained(SharpnessAwareModel(net, still()), mode)
    assert_same(net.get_weights(), plain)


@pytest.mark.matrix
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["recomputed", "rematerialized", "in_a_branch", "in_a_loop"])
def test_second_pass_is_at_the_shifted_weights(name, mode, settings):
    """As with a layer that TensorFlow records op by op."""

    def train(read):
        net = network(read)
        trained(SharpnessAwareModel(net, SAM(rho=0.1), **settings), mode)
        return net.get_weights()

    for weight, expected in zip(train(SEEN[name]), train(Reading.activated), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.matrix
@pytest.mark.parametrize("mode", MODES)
def test_state_of_what_is_computed_twice(mode):
    """Plain Keras moves the statistics and the seed of a rematerialized layer twice a step."""

    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = [layers.Dense(4), layers.Dropout(0.5, seed=1), layers.BatchNormalization()]

        def build(self, input_shape):
            for layer in self.inner:
                layer.build(input_shape)
                input_shape = layer.compute_output_shape(input_shape)

        def call(self, inputs, training=None):
            def block(x):
                dense, dropout, normalization = self.inner
                return normalization(dropout(dense(x), training=training), training=training)

            return keras.remat(block)(inputs)

    def network():
        keras.utils.set_random_seed(0)
        return keras.Sequential([keras.Input((5,)), Block(), layers.Dense(1)])

    plain = trained(network(), mode)
    net = network()
    trained(SharpnessAwareModel(net, still()), mode)
    for weight, expected in zip(net.get_weights(), plain, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", crossed(MODES, ["graph"]))
def test_sharpness_of_what_is_rematerialized(mode):
    def loss(read):
        model = network(read)
        model.compile("sgd", "mse", **MODES[mode])
        return ball_loss(model, (X, Y), rho=0.1).loss

    assert loss(rematerialized) == pytest.approx(loss(Reading.activated), rel=1e-6)


def kept(layer, inputs):
    """In a function that is traced once."""
    if "function" not in vars(layer):
        object.__setattr__(layer, "function", tf.function(layer.activated))
    return layer.function(inputs)


def of_a_kept_tensor(layer, inputs):
    if "normalized" not in vars(layer):
        object.__setattr__(layer, "normalized", [tf.math.l2_normalize(layer.kernel)])
    return inputs @ layer.normalized[0]


def loss_that_reads(weight):
    @tf.function
    def loss(y, y_pred):
        return tf.reduce_mean(tf.square(y - y_pred)) + tf.reduce_sum(tf.square(weight()))

    return loss


REFUSED = r"must not be a `tf\.function` of its own, nor keep tensors.*Received: .*{}"
CELLS = [(mode, settings) for mode in MODES for settings in SETTINGS]
refused_in_every_mode = pytest.mark.parametrize(
    ("mode", "settings"), crossed(CELLS, [("eager", "plain"), ("graph", "perturb_every")])
)


def assert_refused(net, mode, settings, loss="mse", received=""):
    before = net.get_weights()
    with pytest.raises(ValueError, match=REFUSED.format(received)):
        trained(SharpnessAwareModel(net, still(), **SETTINGS[settings]), mode, loss)
    assert_same(net.get_weights(), before)


@pytest.mark.parametrize("settings", crossed(SETTINGS, ["plain"]))
def test_layer_that_is_a_function_is_refused(settings):
    assert_refused(network(kept), "eager", settings, received=r"(kernel|PartitionedCall)")


@refused_in_every_mode
def test_layer_that_was_traced_before_is_refused(mode, settings):
    net = network(kept)
    net(X)
    net(X[: len(X) // 2])
    assert_refused(net, mode, settings, received="kernel")


@refused_in_every_mode
def test_loss_that_is_a_function_with_weights_is_refused(mode, settings):
    net = network(Reading.activated)
    assert_refused(net, mode, settings, loss_that_reads(lambda: net.layers[0].kernel))


@refused_in_every_mode
def test_loss_that_was_traced_before_is_refused(mode, settings):
    net = network(Reading.activated)
    loss = loss_that_reads(lambda: net.layers[0].kernel)
    for count in (len(X), len(X) // 2):
        loss(tf.constant(Y[:count]), net(X[:count]))
    assert_refused(net, mode, settings, loss)


@pytest.mark.parametrize("settings", crossed(SETTINGS, ["plain"]))
@pytest.mark.parametrize("read", [of_a_kept_tensor, kept])
def test_what_a_pass_keeps_in_an_attribute_the_other_does_not_find(read, settings):
    plain = trained(network(read), "graph")
    net = network(read)
    model = SharpnessAwareModel(net, still(), **SETTINGS[settings])
    if settings == "micro_batches":  # One micro-batch leaves it to the next.
        with pytest.raises(ValueError, match=r"tensors from one call to the next"):
            trained(model, "graph")
        return
    trained(model, "graph")
    assert_same(net.get_weights(), plain)


@pytest.mark.parametrize("mode", crossed(MODES, ["graph"]))
def test_loss_that_is_a_function_without_weights_trains(mode):
    @tf.function
    def loss(y, y_pred):
        return tf.reduce_mean(tf.square(y - y_pred))

    plain = trained(network(Reading.activated), mode, loss)
    net = network(Reading.activated)
    trained(SharpnessAwareModel(net, still()), mode, loss)
    assert_same(net.get_weights(), plain)

"""A `tf.Variable` that a model assigns: both passes would. In a graph, it is refused."""

import keras
import pytest
import tensorflow as tf
from keras import layers

from keras_zsharp import SharpnessAwareModel, sharpness_aware
from tests.still import still
from tests.tiers import crossed
from tests.training.cases import MODES, assert_same, normal

X, Y = normal(5), normal(1)


class Reading(layers.Layer):
    """Has TensorFlow's variables, as attributes and in lists and dicts."""

    def __init__(self):
        super().__init__()
        self.count = tf.Variable(1.0, trainable=False)
        self.others = [tf.Variable(tf.zeros(4), trainable=False)]
        self.named = {"a": tf.Variable(2.0, trainable=False), 1: None}

    def call(self, inputs):
        self.write()
        return inputs * self.count + self.others[0] + self.named["a"]

    def write(self):
        pass


class Assigning(Reading):
    def write(self):
        self.count.assign_add(1.0)


class AssigningInAList(Reading):
    def write(self):
        self.others[0].assign(tf.ones(4))


class AssigningInADict(Reading):
    def write(self):
        self.named["a"].assign_sub(1.0)


class Scattering(Reading):
    def write(self):
        self.others[0].scatter_nd_update([[0]], [1.0])


WRITING = [Assigning, AssigningInAList, AssigningInADict, Scattering]
SETTINGS = {"plain": {}, "perturb_every": {"perturb_every": 2}, "parts": {"micro_batches": 2}}
GRAPHS = [mode for mode in MODES if mode != "eager"]
CELLS = [(cls, mode, name) for cls in WRITING for mode in GRAPHS for name in SETTINGS]
DEFAULT = [(Assigning, "graph", "plain"), (AssigningInADict, "graph", "plain")]


def trained(way, middle, mode, loss="mse"):
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((5,)), layers.Dense(4), middle, layers.Dense(1)])
    model = way(net)
    model.compile(keras.optimizers.SGD(0.1), loss, **MODES[mode])
    model.fit(X, Y, batch_size=6, epochs=2, shuffle=False, verbose=0)
    return [weight.numpy() for weight in net.trainable_weights]


@pytest.mark.parametrize(("cls", "mode", "settings"), crossed(CELLS, default=DEFAULT))
def test_what_a_layer_assigns_is_refused(cls, mode, settings):
    layer = cls()
    with pytest.raises(ValueError, match=r"must not assign a `tf\.Variable`.*Received: assign"):
        trained(lambda net: sharpness_aware(net, "sam", **SETTINGS[settings]), layer, mode)
    assert (float(layer.count), float(layer.named["a"])) == (1.0, 2.0)


@pytest.mark.parametrize("cls", crossed(WRITING, default=[AssigningInADict]))
def test_eagerly_it_is_put_back_between_the_passes(cls):
    layers = cls(), cls()
    plain = trained(lambda net: net, layers[0], "eager")
    assert_same(trained(lambda net: sharpness_aware(net, still()), layers[1], "eager"), plain)
    numbers = [(float(la.count), float(la.named["a"]), la.others[0].numpy().sum()) for la in layers]
    assert numbers[0] == numbers[1] != (1.0, 2.0, 0.0)


def test_what_changes_a_table_is_refused():
    layer = Reading()
    layer.table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.float32, 0.0)
    layer.write = lambda: layer.table.insert(tf.constant(0, "int64"), tf.constant(1.0))
    with pytest.raises(ValueError, match=r"must not .* change a table"):
        trained(lambda net: sharpness_aware(net, "sam"), layer, "graph")
    assert int(layer.table.size()) == 0


@pytest.mark.parametrize("mode", crossed(["graph", "xla"], default=["graph"]))
def test_what_a_loss_assigns_is_refused(mode):
    count = tf.Variable(0.0)

    def loss(y, y_pred):
        count.assign_add(1.0)
        return tf.reduce_mean(tf.square(y - y_pred))

    with pytest.raises(ValueError, match=r"must not assign a `tf\.Variable`"):
        trained(lambda net: SharpnessAwareModel(net, "sam"), Reading(), mode, loss)
    assert float(count) == 0


@pytest.mark.parametrize("mode", crossed(MODES, default=["graph", "eager"]))
def test_what_is_only_read_trains(mode):
    plain = trained(lambda net: net, Reading(), mode)
    for way in (SharpnessAwareModel, sharpness_aware):
        found = trained(lambda net, way=way: way(net, still()), Reading(), mode)
        assert_same(found, plain)

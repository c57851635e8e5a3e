"""What a model keeps outside of Keras variables moves once a step, as in plain Keras."""

import keras
import numpy as np
import pytest

from keras_zsharp import SAM, SharpnessAwareModel, flatness, sharpness_aware
from tests.backends import places
from tests.still import still
from tests.tiers import crossed

X, Y = np.random.default_rng(0).normal(size=(2, 24, 4)).astype("float32")
Y = Y[:, :1]
WAYS = {"plain": lambda net: net, "wrapper": SharpnessAwareModel, "in place": sharpness_aware}
MODES = {"default": False, "eager": True}


class Keeping(keras.layers.Layer):
    """Its output and its loss depend on the number to which a call moves a place."""

    def __init__(self, place):
        super().__init__()
        self.place, self.kept = place, place.first()

    def call(self, inputs):
        return inputs * (1.0 + 0.1 * keras.ops.cast(self.place.move(self.kept), inputs.dtype))

    def read(self):
        return repr(self.place.read(self.kept))


class Rebinding(keras.layers.Layer):
    """Its attributes are other ones after a call."""

    def __init__(self):
        super().__init__()
        self.number = 0.0

    def call(self, inputs):
        self.number += 1.0
        self.since = getattr(self, "since", 0.0) + 2.0
        return inputs * (1.0 + 0.1 * (self.number + self.since))

    def read(self):
        return self.number, getattr(self, "since", 0.0)


def trained(layer, way, eagerly, rule=None, loss="mse", **options):
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(1)])
    given = () if way == "plain" else (rule or still(),)
    model = WAYS[way](net, *given, **options)
    model.compile(keras.optimizers.SGD(0.01), loss, run_eagerly=eagerly)
    losses = model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"]
    return np.concatenate([losses, *map(np.ravel, net.get_weights()[-2:])])


def as_plain(make, eagerly, way="in place", **arguments):
    plain, layer = make(), make()
    expected = trained(plain, "plain", eagerly, **arguments)
    # Where arrays lie in memory may show in the last digit.
    np.testing.assert_allclose(
        trained(layer, way, eagerly, **arguments), expected, rtol=1e-5, atol=1e-6
    )
    assert layer.read() == plain.read() != make().read()


class Chain(keras.layers.Layer):
    """Several layers, each with a place of its own."""

    def __init__(self, kept):
        super().__init__()
        self.kept = [Keeping(place) for place in kept]

    def call(self, inputs):
        for layer in self.kept:
            inputs = layer(inputs)
        return keras.ops.tanh(inputs)

    def read(self):
        return [layer.read() for layer in self.kept]


CELLS = [(mode, way) for mode in MODES for way in ("wrapper", "in place")]
DEFAULT = [("default", "in place"), ("eager", "wrapper")]


@pytest.mark.parametrize(("mode", "way"), crossed(CELLS, default=DEFAULT))
def test_every_place_moves_once_a_step(mode, way):
    kept = places.ALL if MODES[mode] or places.BACKEND == "torch" else places.PLACES
    as_plain(lambda: Chain(kept.values()), MODES[mode], way)
    as_plain(Rebinding, MODES[mode], way)


@pytest.mark.matrix
@pytest.mark.parametrize("place", places.ALL)
def test_each_place_moves_once_a_step(place):
    as_plain(lambda: Keeping(places.ALL[place]), eagerly=True)


class Loss(keras.losses.Loss):
    """It has a place of its own."""

    def __init__(self, place):
        super().__init__()
        self.layer = Keeping(place)

    def call(self, y, y_pred):
        return self.layer((y - y_pred) ** 2)


@pytest.mark.parametrize("as_method", [False, True])
def test_places_of_a_loss(as_method):
    weights, read = [], []
    for way in WAYS:
        loss = Loss(places.PLACES["dict"])
        given = loss.call if as_method else loss
        weights.append(trained(keras.layers.Activation("tanh"), way, True, loss=given))
        read.append(loss.layer.read())
    for found in weights[1:]:
        np.testing.assert_allclose(found, weights[0], rtol=1e-5, atol=1e-6)
    assert "{'n': 0.0}" != read[0] == read[1] == read[2]


class Failing(Keeping):
    """Fails in its call of that number, from 1 on."""

    calls, fails = 0, 0

    def call(self, inputs):
        type(self).calls += 1
        outputs = super().call(inputs)
        if self.calls == self.fails:
            raise ArithmeticError("failing")
        return outputs


@pytest.mark.parametrize("in_pass", [1, 2])
@pytest.mark.parametrize("place", ["nested", "array"])
def test_a_step_that_fails_leaves_all_as_it_was(in_pass, place):
    layer = Failing(places.PLACES[place])
    net = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(1)])
    model = sharpness_aware(net, SAM(0.1))
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(X, Y, batch_size=8, verbose=0)
    before, Failing.fails = layer.read(), Failing.calls + in_pass
    with pytest.raises(Exception, match="failing"):
        model.train_on_batch(X, Y)
    assert layer.read() == before


def test_a_step_that_is_skipped_leaves_all_as_it_was():
    layer = Keeping(places.PLACES["nested"])
    net = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(1)])
    model = sharpness_aware(net, SAM(0.1), skip_nonfinite=True)
    model.compile("sgd", "mse", run_eagerly=True)
    model.train_on_batch(X, Y)
    before = layer.read()
    model.train_on_batch(X * np.inf, Y)
    assert layer.read() == before
    model.train_on_batch(X, Y)
    assert layer.read() != before


@pytest.mark.parametrize("mode", MODES)
def test_measures_of_flatness_leave_all_as_it_was(mode):
    layer = Chain([places.ALL[name] for name in ("dict", "array", "generator")])
    net = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(1)])
    net.compile("sgd", "mse", run_eagerly=MODES[mode])
    before = layer.read()
    measured = [flatness.hessian_trace(net, (X, Y), samples=2) for _ in range(2)]
    assert layer.read() == before
    assert measured[0].mean == measured[1].mean

"""What plain Keras calls of a model's methods, a sharpness-aware model calls, or it is refused."""

import collections
import functools
import importlib
import random
import sys

import keras
import numpy as np
import pytest

from keras_zsharp import SharpnessAwareModel, SharpnessAwareTraining, sharpness_aware
from keras_zsharp.training import reached

X, Y = np.random.default_rng(0).normal(size=(2, 8, 1)).astype("float32")


class Net(keras.Model):
    """Another net than that of the library, and its step is compiled where Keras compiles it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = keras.layers.Dense(2, kernel_regularizer="l1")
        self.parts = keras.Sequential([keras.layers.BatchNormalization(), keras.layers.Dense(1)])
        self.mine = keras.metrics.Mean(name="mine")

    def call(self, inputs, training=None):
        outputs = self.parts(self.hidden(inputs), training=training)
        self.add_loss(keras.ops.mean(outputs**2))
        return outputs


class Doubled(Net):
    def compute_loss(self, *args, **kwargs):
        return 2 * super().compute_loss(*args, **kwargs)


DOES = {
    "compile": lambda m: m.compile("adam", "mae", metrics=["mse"]),
    "fit": lambda m: m.fit(X, Y, epochs=2, batch_size=4, validation_split=0.5, verbose=0),
    "train_on_batch": lambda m: m.train_on_batch(X, Y),
    "evaluate": lambda m: m.evaluate(X, Y, verbose=0),
    "predict": lambda m: m.predict(X, verbose=0),
}
NAMES = {n for n in dir(keras.Model) if not n.startswith("__") or n == "__call__"}


def called_by(model):
    """How often Keras runs code of a method of that name of a model, by what the model does."""
    found = {}
    for name, does in DOES.items():
        names = found[name] = collections.Counter()

        def note(frame, event, _, names=names):
            called = frame.f_code.co_name
            if event == "call" and called in NAMES and frame.f_locals.get("self") is model:
                names[called] += 1

        sys.setprofile(note)
        try:
            does(model)
        finally:
            sys.setprofile(None)
    return found


def counting(net, names, calls):
    """A subclass that overrides methods with such that count their calls."""

    def counted(name, method):
        @functools.wraps(method)
        def override(self, *args, **kwargs):
            calls[name] += 1
            return method(self, *args, **kwargs)

        return override

    def override(name):
        of_net = getattr(net, name)
        if isinstance(of_net, property):
            return property(counted(name, of_net.fget), of_net.fset)
        return counted(name, of_net)

    return type("Own", (net,), {name: override(name) for name in names})


WAYS = {
    "in_place": lambda make, net: sharpness_aware(make(net)(), "sam"),
    "mixin": lambda make, net: make(type("Mixed", (SharpnessAwareTraining, net), {}))(rule="sam"),
    "wrapper": lambda make, net: SharpnessAwareModel(make(net)(), "sam"),
}


def calls_of(make, names):
    """How often each of the methods is called, by what the model does. It runs eagerly."""
    calls = collections.Counter()
    model = make(lambda net: counting(net, names, calls))
    found = {"construct": calls.copy()}
    for name, does in DOES.items():
        calls.clear()
        does(model)
        found[name] = calls.copy()
        model.run_eagerly = True
    return found


@pytest.fixture(scope="module")
def of_plain():
    """How often plain Keras calls each method that it runs and that a class can override."""
    names = {n for names in called_by(Net()).values() for n in names}
    names = {n for n in names if callable(getattr(Net, n)) or isinstance(getattr(Net, n), property)}
    calls = calls_of(lambda make: make(Net)(), names)
    return {does: calls[does] for does in DOES}


def refused(way, names):
    """The methods whose override is refused, by an error that names them."""
    errors = {}
    for name in names:
        try:
            WAYS[way](lambda net, name=name: counting(net, [name], collections.Counter()), Net)
        except (TypeError, ValueError) as error:
            errors[name] = str(error)
    assert all(f"`{name}`" in error for name, error in errors.items())
    return set(errors)


@pytest.mark.parametrize("way", ["in_place", "mixin"])
def test_what_plain_keras_calls_is_called_as_often_or_refused(way, of_plain, monkeypatch):
    names = {name for calls in of_plain.values() for name in calls}
    assert {"train_step", "test_step", "compute_loss", "metrics", "fit", "call"} <= names
    dropped = refused(way, names)
    hidden = {"train_step"} if way == "in_place" else set()
    monkeypatch.setattr(reached, "missed", lambda *args: [])
    ours = calls_of(lambda make: WAYS[way](make, Net), names - hidden)
    fewer = {
        name: (does, ours[does][name], count)
        for does, calls in of_plain.items()
        for name, count in calls.items()
        if ours[does][name] < count
    }
    assert fewer.keys() == dropped >= hidden, fewer
    # Keras 3.16 asks for it in its step, too, on PyTorch.
    assert dropped <= {*hidden, "run_eagerly"}


def test_what_plain_keras_calls_is_called_inside_of_a_wrapper_or_refused(of_plain):
    names = {name for calls in of_plain.values() for name in calls}
    kept = names - refused("wrapper", names)
    assert {"__call__", "call", "build"} <= kept
    assert not kept & {"fit", "compute_loss", "metrics", "train_step", "reset_metrics"}
    ours = calls_of(lambda make: WAYS["wrapper"](make, Net), kept)
    assert set().union(*ours.values()) == kept


@pytest.fixture
def traced_anew(monkeypatch):
    for function in ("_names", "_reached"):
        anew = functools.cache(getattr(reached, function).__wrapped__)
        monkeypatch.setattr(reached, function, anew)


def test_what_the_next_keras_calls_is_refused(monkeypatch, traced_anew):
    """Its step calls a method that this one's does not."""
    trainer = next(base for base in keras.Model.__mro__ if "train_step" in vars(base))
    train_step = trainer.train_step

    def of_the_next(self, *args):
        self.prepare_step()
        return train_step(self, *args)

    monkeypatch.setattr(trainer, "prepare_step", lambda self: None, raising=False)
    monkeypatch.setattr(trainer, "train_step", of_the_next)
    for way, make in WAYS.items():
        with pytest.raises((TypeError, ValueError), match="must not override `prepare_step`"):
            make(lambda net: type("Own", (net,), {"prepare_step": lambda self: None}), Net)
        assert make(lambda net: net, Doubled if way != "wrapper" else Net)
    message = r"`SharpnessAwareOwn` must.*: Keras .* calls it .*Received: .* \['prepare_step'\]$"
    with pytest.raises(TypeError, match=message):
        sharpness_aware(type("Own", (Net,), {"prepare_step": lambda self: None})(), "sam")


def test_a_method_of_the_object_is_refused_inside_of_a_wrapper():
    net = Net()
    net.compile("sgd", "mse")
    net.compute_loss = lambda *args, **kwargs: 0.0
    with pytest.raises(ValueError, match=r"must not override `compute_loss`, which a wrapper"):
        SharpnessAwareModel(net, "sam")


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_traced_where_only_a_layer_is_overridden(way, monkeypatch):
    monkeypatch.delattr(reached, "_reached")
    made = WAYS[way](lambda net: net, Net)
    assert made.predict(X, verbose=0).shape == (8, 1)
    if way != "mixin":
        WAYS[way](lambda net: lambda: keras.Sequential([keras.layers.Dense(1)]), None)


def drawn():
    numbers = [random.random(), np.random.random(), float(keras.random.normal(()))]
    name = keras.backend.backend()
    if name == "tensorflow":
        numbers.append(float(importlib.import_module("tensorflow").random.normal(())))
    if name == "torch":
        numbers.append(float(importlib.import_module("torch").randn(())))
    return numbers


def test_tracing_leaves_seeds_and_names_as_they_are(traced_anew):
    model = Doubled()
    keras.utils.set_random_seed(1)
    expected = drawn()
    keras.utils.set_random_seed(1)
    names = [keras.layers.Dense(1, kernel_initializer="zeros").name]
    assert sharpness_aware(model, "sam")
    names.append(keras.layers.Dense(1, kernel_initializer="zeros").name)
    numbers = [int(name.partition("_")[2] or 0) for name in names]
    assert numbers[1] == numbers[0] + 1
    assert drawn() == expected


def within(function):
    """Calls a function where a graph, a strategy or a scope is open."""
    backend = keras.backend.backend()
    if backend == "jax":
        return importlib.import_module("jax").eval_shape(function)
    if backend == "torch":
        with importlib.import_module("torch").inference_mode(), keras.StatelessScope():
            return function()
    tf = importlib.import_module("tensorflow")
    with tf.Graph().as_default(), keras.StatelessScope():
        return function()


def test_it_is_traced_within_whatever_is_open(traced_anew):
    found = []
    within(lambda: found.append(reached.missed(reached._behind, SharpnessAwareTraining, [Doubled])))
    assert found == [[]]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Others have no strategies.")
def test_it_is_traced_within_a_strategy(traced_anew):
    tf = importlib.import_module("tensorflow")
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = sharpness_aware(Doubled(), "sam")
        model.compile("sgd", "mse")
    assert model.train_on_batch(X, Y, return_dict=True)["loss"] > 0


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="These are PyTorch's processes.")
def test_it_is_traced_alone_in_several_processes(traced_anew, monkeypatch):
    """From 3.16 on, Keras trains in all of them together, and waits for each."""
    together = importlib.import_module("torch").distributed
    monkeypatch.setattr(together, "is_initialized", lambda: True)
    monkeypatch.delattr(together, "all_reduce")
    assert sharpness_aware(Doubled(), "sam")
    assert together.is_initialized()

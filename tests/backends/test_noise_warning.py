"""The warning of noise that the passes do not share is of what the model draws, and no other."""

import itertools
import random
import threading
import warnings
from random import random as random_by_its_own_name

import keras
import numpy as np
import pytest
from keras import layers
from numpy.random import normal as normal_by_its_own_name

from keras_zsharp import SAM, SharpnessAwareModel
from keras_zsharp.training import noise
from tests.tiers import crossed

X, Y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")
DRAWN = {
    "numpy": lambda: np.random.normal(),
    "numpy, by its own name": normal_by_its_own_name,
    "numpy's object": lambda: np.random.normal.__self__.poisson(3.0),
    "python": lambda: random.gauss(0.0, 1.0),
    "python, by its own name": random_by_its_own_name,
}
NOT_SHARED = {
    "nothing": lambda: 0.0,
    "numpy's of its own": lambda: np.random.RandomState(0).normal(),
    "python's of its own": lambda: random.Random(0).random(),
}


def warned(draw, *, eagerly, x=X, **arguments):
    """Whether training warned that the passes draw different noise."""

    class Noise(layers.Layer):
        def call(self, inputs):
            return inputs + keras.ops.cast(draw(), inputs.dtype)

    net = keras.Sequential([keras.Input((3,)), layers.Dropout(0.5), Noise(), layers.Dense(1)])
    model = SharpnessAwareModel(net, SAM(rho=0.1))
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=eagerly)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, Y if x is X else None, epochs=2, verbose=0, **arguments)
    return any("The two passes of a step draw different noise" in str(w.message) for w in caught)


@pytest.fixture
def feeding():
    """A thread that draws all the time, and moves both generators in each pass."""
    done = threading.Event()

    def feed():
        while not done.wait(1e-4):
            for draw in DRAWN.values():
                draw()

    thread = threading.Thread(target=feed)
    thread.start()
    yield
    done.set()
    thread.join()


@pytest.mark.parametrize(
    ("name", "eagerly", "fed"),
    crossed(
        itertools.product(DRAWN, (False, True), (False, True)),
        default=[("numpy", False, True), ("python", True, True)],
    ),
)
def test_what_a_layer_draws_is_warned_of(name, eagerly, fed, request):
    if fed:
        request.getfixturevalue("feeding")
    assert warned(DRAWN[name], eagerly=eagerly)


@pytest.mark.parametrize(
    ("name", "eagerly"),
    crossed(
        itertools.product(NOT_SHARED, (False, True)),
        default=[("nothing", False)],
    ),
)
def test_what_other_threads_draw_is_not(name, eagerly, feeding):
    assert not warned(NOT_SHARED[name], eagerly=eagerly)


class Drawing(keras.utils.PyDataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        for _ in range(100):
            random.random()
        return X + np.random.normal(size=X.shape).astype("float32"), Y


@pytest.mark.parametrize("eagerly", crossed([False, True], default=[True]))
def test_what_workers_draw_is_not(eagerly):
    assert not warned(lambda: 0.0, eagerly=eagerly, x=Drawing(workers=2))


def test_numbers_are_the_same_while_it_is_noted_who_draws():
    def numbers(around):
        np.random.seed(0)
        random.seed(0)
        drawn = []
        for _ in range(5):
            with around():
                drawn += [draw() for draw in DRAWN.values()]
        return drawn

    moved = dict.fromkeys(noise.shared_generators())
    own = np.random.get_bit_generator()
    assert numbers(lambda: noise.drawn_here(moved)) == numbers(threading.Lock)
    assert np.random.get_bit_generator() is own


def test_a_layer_that_seeds_draws_the_same():
    def seeded():
        np.random.seed(0)
        random.seed(0)
        return np.random.normal() + random.random()

    assert not warned(seeded, eagerly=True)

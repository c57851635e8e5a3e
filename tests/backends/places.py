"""Where a model can keep state outside of Keras variables, and how a step moves it."""

import collections
import dataclasses
import functools
import random
import types

import keras
import numpy as np

BACKEND = keras.backend.backend()


@dataclasses.dataclass
class Counter:
    n: float = 0.0

    def next(self):
        self.n += 1
        return self.n


class Slotted:
    __slots__ = ("_empty", "n")

    def __init__(self):
        self.n = 0.0


class Place:
    """A place: what is kept there at first, how a call moves it to a new number, and a copy."""

    def __init__(self, first, move, read=lambda kept: kept):
        self.first, self.move, self.read = first, move, read


def set_item(key):
    def move(kept):
        kept[key] = kept[key] + 1
        return kept[key]

    return move


def nested(kept):
    kept["a"][0]["b"] += 1
    return kept["a"][0]["b"]


def append(kept):
    kept.append(1.0)
    return len(kept)


def add(kept):
    kept.add(len(kept))
    return len(kept)


def attribute(kept):
    kept.n = kept.n + 1
    return kept.n


def array(kept):
    kept += 1
    return float(kept[0])


PLACES = {
    "list": Place(lambda: [0.0], set_item(0)),
    "longer list": Place(list, append),
    "dict": Place(lambda: {"n": 0.0}, set_item("n")),
    "longer dict": Place(dict, lambda d: d.setdefault(len(d), 1.0 + len(d))),
    "nested": Place(lambda: {"a": ({"b": 0.0},)}, nested),
    "set": Place(set, add),
    "deque": Place(collections.deque, append, list),
    "user dict": Place(lambda: collections.UserDict(n=0.0), set_item("n"), dict),
    "object": Place(Counter, attribute, lambda c: c.n),
    "slots": Place(Slotted, attribute, lambda c: c.n),
    "namespace": Place(lambda: types.SimpleNamespace(n=0.0), attribute, lambda c: c.n),
    "method": Place(lambda: Counter().next, lambda f: f(), lambda f: f.__self__.n),
    "partial": Place(
        lambda: functools.partial(attribute, Counter()), lambda f: f(), lambda f: f.args[0].n
    ),
    "array": Place(lambda: np.zeros(2), array),
    "generator": Place(
        lambda: np.random.default_rng(0), lambda g: g.random(), lambda g: str(g.bit_generator.state)
    ),
    "random state": Place(
        lambda: np.random.RandomState(0), lambda g: g.rand(), lambda g: g.get_state()[2]
    ),
    "random": Place(lambda: random.Random(0), lambda g: g.random(), lambda g: g.getstate()[1]),
}


def _of_torch():
    import torch

    def tensor(kept):
        kept.add_(1.0)
        return kept

    def resized(kept):
        kept.resize_(len(kept) + 1).fill_(len(kept))
        return kept[0]

    def module():
        # In a list, where Keras does not find it.
        return [torch.nn.BatchNorm1d(4).double()]

    def normalized(kept):
        return kept[0](torch.rand(8, 4, dtype=torch.float64)).mean() + kept[0].running_var.mean()

    def gradient():
        return torch.ones(1, requires_grad=True)

    def read(kept):
        return kept.detach().clone().numpy()

    return {
        "tensor": Place(lambda: torch.zeros(1), tensor, read),
        "tensor in a list": Place(
            lambda: [torch.zeros(1)], lambda k: tensor(k[0]), lambda k: read(k[0])
        ),
        "resized tensor": Place(lambda: torch.zeros(1), resized, read),
        "hidden module": Place(module, normalized, lambda k: read(k[0].running_mean)),
        "torch generator": Place(
            lambda: torch.Generator().manual_seed(1),
            lambda g: torch.rand(1, generator=g),
            lambda g: g.get_state().tolist(),
        ),
    }


def _of_tensorflow():
    """They move eagerly. In a graph they are refused."""
    import tensorflow as tf

    def table():
        return tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, 0.0)

    def insert(kept):
        number = tf.ensure_shape(kept.lookup(tf.constant("n")), ()) + 1
        kept.insert(tf.constant("n"), number)
        return number

    return {
        "tf.Variable": Place(
            lambda: tf.Variable(0.0, trainable=False),
            lambda v: v.assign_add(1.0),
            lambda v: v.numpy(),
        ),
        "table": Place(table, insert, lambda t: t.export()[1].numpy()),
        "tf generator": Place(
            lambda: tf.random.Generator.from_seed(1),
            lambda g: g.uniform(()),
            lambda g: g.state.numpy(),
        ),
    }


OF_BACKEND = {"torch": _of_torch, "tensorflow": _of_tensorflow}.get(BACKEND, dict)()
EAGER_ONLY = OF_BACKEND if BACKEND == "tensorflow" else {}
ALL = {**PLACES, **OF_BACKEND}

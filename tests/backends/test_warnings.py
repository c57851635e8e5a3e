"""Whatever structure the inputs have, a sharpness-aware model warns of nothing but plain Keras."""

import itertools
import re
import warnings

import keras
import numpy as np
import pytest

from keras_zsharp import SharpnessAwareModel, sharpness_aware
from tests.tiers import crossed

A, B, Y = (np.ones((8, n), "float32") for n in (3, 2, 1))
STRUCTURES = {
    "tensor": A,
    "dict": {"a": A, "b": B},
    "list": [A, B],
    "tuple": (A, B),
    "nested": {"p": [A, {"q": B}]},
}
WAYS = {
    "wrapper": lambda net: SharpnessAwareModel(net, "sam"),
    "in place": lambda net: sharpness_aware(net, "sam"),
}


@keras.saving.register_keras_serializable("tests.warnings")
class Net(keras.Model):
    """Its inputs have any structure, and any number of arguments."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = [keras.layers.Dense(2) for _ in range(2)]
        self.head = keras.layers.Dense(1)

    def call(self, features, further=None, training=False):
        parts = keras.tree.flatten([features, [] if further is None else further])
        return self.head(sum(layer(x) for layer, x in zip(self.hidden, parts, strict=False)))


class NamedMask(Net):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, features, training=False, mask=None):
        return super().call(features)


def warned(use, *arguments):
    """What was warned of, of any model of any name."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        use(*arguments)
    messages = {re.sub(r"'[^']*'", "", str(one.message)) for one in caught}
    return {message for message in messages if "__array__" not in message}


def use_all(way, x, built, path):
    net = Net()
    if built:
        net(x)
    model = WAYS[way](net) if way in WAYS else net
    model.compile("sgd", "mse")
    model.fit(x, Y, batch_size=4, verbose=0)
    model.evaluate(x, Y, verbose=0)
    model.predict(x, verbose=0)
    model.save(path)
    keras.saving.load_model(path)


@pytest.mark.parametrize(
    ("structure", "built"),
    crossed(itertools.product(STRUCTURES, (False, True)), default=[("nested", False)]),
)
def test_inputs_of_any_structure(structure, built, tmp_path):
    x, path = STRUCTURES[structure], tmp_path / "model.keras"
    plain = warned(use_all, "plain", x, built, path)
    for way in WAYS:
        assert warned(use_all, way, x, built, path) <= plain, way


@pytest.mark.parametrize("net", [Net, NamedMask])
@pytest.mark.parametrize("way", WAYS)
def test_arguments_of_any_name(way, net):
    """In a functional model, which builds an unbuilt one from symbols."""
    inputs = [keras.Input((n,)) for n in (3, 2)]
    masked = keras.layers.Masking()(keras.Input((4, 3)))
    calls = [lambda model: model(inputs), lambda model: model(features=inputs[0])]
    if net is Net:
        calls += [lambda model: model(*inputs), lambda model: model(inputs[0], further=inputs[1])]
    else:
        calls += [lambda model: model(masked)]
    for call in calls:
        made = WAYS[way](net())
        assert warned(call, made) <= warned(call, net())
        assert all(layer.built for layer in [made.get_layer(index=-1)])

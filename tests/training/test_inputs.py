"""What reaches the model inside is what it would be given alone."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_zsharp import SharpnessAwareModel
from tests.still import still
from tests.tiers import crossed
from tests.training.cases import assert_same

POLICIES = ("mixed_float16", "mixed_bfloat16", "float32", "float64")
LARGE = np.linspace(-1e5, 1e5, 24).reshape(8, 3)
WHOLE = np.arange(24).reshape(8, 3)


def normalizing(**kwargs):
    layer = layers.Normalization(dtype="float32", **kwargs)
    layer.adapt(LARGE)
    return layer


def then(first, **kwargs):
    return keras.Sequential([keras.Input((3,), **kwargs), first, layers.Dense(1)])


class Plain(keras.Model):
    """A subclass, whose first layer is one of float32, in a model of the global policy."""

    def __init__(self):
        super().__init__()
        self.first, self.head = normalizing(), layers.Dense(1)

    def call(self, inputs):
        return self.head(self.first(inputs))


class Looking(keras.Model):
    """Asks for the dtype of what it is given."""

    def __init__(self):
        super().__init__()
        self.head = layers.Dense(1)

    def call(self, inputs):
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        return self.head(keras.ops.cast(inputs, "float32") * {"float16": 3}.get(dtype, 1))


def named():
    inputs = {"a": keras.Input((3,)), "b": keras.Input((3,), dtype="int32")}
    x = layers.Concatenate()([normalizing()(inputs["a"]), layers.Flatten()(embedded(inputs["b"]))])
    return keras.Model(inputs, layers.Dense(1)(x))


def embedded(indices):
    return layers.Embedding(30, 2)(indices)


NETS = {
    "normalization": (lambda: then(normalizing()), LARGE),
    "rescaling": (lambda: then(layers.Rescaling(1e-5, dtype="float32")), LARGE),
    "of float64": (lambda: then(layers.Rescaling(1e-5, dtype="float32"), dtype="float64"), LARGE),
    "bytes": (lambda: then(layers.Rescaling(1 / 255, dtype="float32")), WHOLE.astype("uint8")),
    "bins": (lambda: then(layers.Discretization([-5e4, 0.0, 1e5], dtype="int32")), LARGE),
    "hashed": (lambda: then(layers.Hashing(7), dtype="int64"), WHOLE),
    "indices": (lambda: then(layers.CategoryEncoding(24), dtype="int32"), WHOLE),
    "subclass": (Plain, LARGE),
    "looking": (Looking, LARGE),
    "dict": (named, {"a": LARGE, "b": WHOLE}),
}


@pytest.fixture
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("policy", crossed(POLICIES, default=["mixed_float16"]), indirect=True)
@pytest.mark.parametrize("name", NETS)
def test_a_wrapper_trains_what_the_net_alone_would(name, policy):
    if name == "hashed":
        pytest.importorskip("tensorflow")  # Keras' layer needs it on any backend.
    make, x = NETS[name]
    ends = []
    for wrap in (lambda net: net, lambda net: SharpnessAwareModel(net, still())):
        keras.utils.set_random_seed(0)
        net = make()
        model = wrap(net)
        model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
        loss = model.fit(x, np.ones((8, 1)), batch_size=4, shuffle=False, verbose=0).history["loss"]
        evaluated = model.evaluate(x, np.ones((8, 1)), verbose=0)
        ends.append([loss, evaluated, *net.get_weights(), model.predict(x, verbose=0)])
    assert_same(*ends)
    # A subclass casts what it is given itself, too large numbers among it.
    assert np.isfinite(ends[0][0]).all() or name in ("subclass", "looking")

"""The class that `sharpness_aware` makes is Keras' to know for as long as its model lives."""

import copy
import gc
import pickle
import weakref

import keras
import numpy as np
import pytest
from keras.src.saving.object_registration import GLOBAL_CUSTOM_NAMES

from keras_zsharp import SAM, SharpnessAwareModel, plain, sharpness_aware

X = np.ones((2, 3), "float32")


def functional():
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Dense(1)(inputs))


def again(model):
    return type(model).from_config(model.get_config())


COPIES = {
    "copied": copy.deepcopy,
    "pickled": lambda model: pickle.loads(pickle.dumps(model)),
    "configured": again,
    "cloned": keras.models.clone_model,
}


def registered():
    gc.collect()
    return [dict(GLOBAL_CUSTOM_NAMES), dict(keras.saving.get_custom_objects())]


def test_nothing_is_left_of_a_model_in_keras_registry():
    before = registered()
    for _ in range(3):
        model = sharpness_aware(keras.Sequential([keras.layers.Dense(1)]), "sam")
        model(X)
        again(model)
        kept = plain(sharpness_aware(keras.Sequential([keras.layers.Dense(1)]), "sam"))
    assert type(kept) is keras.Sequential
    del model
    assert registered() == before


def trained(way):
    """A weak reference to a class whose model has trained, with a loss that is its method."""

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)

        def call(self, inputs):
            return self.dense(inputs)

        def squares(self, y, y_pred):
            return keras.ops.mean(keras.ops.square(y - y_pred))

    net = Net()
    model = way(net)
    model.compile("sgd", net.squares, run_eagerly=True)
    model.fit(X, X[:, :1], verbose=0)
    return weakref.ref(Net)


@pytest.mark.parametrize("way", [SharpnessAwareModel, sharpness_aware])
def test_a_class_goes_with_its_models(way):
    known = trained(lambda net: way(net, "sam"))
    keras.utils.clear_session()
    gc.collect()
    assert known() is None


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_outlives_its_model(way, tmp_path):
    model = sharpness_aware(functional(), SAM(rho=0.25), perturb_every=2)
    made = COPIES[way](model)
    assert type(made) is not type(model)
    del model
    gc.collect()
    made.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.rule.rho, loaded.perturb_every) == (0.25, 2)
    np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(m(X)) for m in (made, loaded)))

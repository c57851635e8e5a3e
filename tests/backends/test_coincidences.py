"""What a thing is called, or where it lies, does not decide what it is."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_zsharp import SharpnessAwareModel, sharpness_aware
from keras_zsharp.callbacks import Backup
from keras_zsharp.flatness import ball_loss
from keras_zsharp.keras_internals import tracking
from keras_zsharp.training import chosen
from tests.tiers import crossed


class NormalizedDense(layers.Dense):
    pass


class BatchNormDense(layers.Layer):
    """A kernel, and a bias of rank 1."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")
        self.bias = self.add_weight(shape=(3,), name="bias")

    def call(self, x):
        return keras.ops.matmul(x, self.kernel) + self.bias


class TinyLayerNorm(layers.Layer):
    def build(self, shape):
        self.gain = self.add_weight(shape=shape[-1:], name="gain")

    def call(self, x):
        return x * self.gain


class Conditional(layers.BatchNormalization):
    """With a weight that is neither gain nor offset."""

    def build(self, shape):
        super().build(shape)
        self.kernel = self.add_weight(shape=(shape[-1], shape[-1]), name="kernel")


class NormNet(keras.Sequential):
    pass


CHOSEN = {
    NormalizedDense: [],
    BatchNormDense: [],
    TinyLayerNorm: ["gain"],
    Conditional: ["gamma", "beta"],
    **{kind: None for kind in tracking.NORMALIZATIONS if kind.__name__[0] != "U"},
}


def paths(model, perturb_only):
    among = chosen.among(model, perturb_only, model.trainable_variables)
    return [v for v, one in zip(model.trainable_variables, among, strict=True) if one]


@pytest.mark.parametrize("kind", CHOSEN)
def test_normalization_is_what_normalizes(kind):
    layer = kind(3) if issubclass(kind, layers.Dense) else kind(**GROUPS.get(kind, {}))
    called_so = layers.Dense(2, name="layer_norm")
    net = NormNet([keras.Input((3,)), layers.LayerNormalization(), layer, called_so])
    model = SharpnessAwareModel(net, "sam", perturb_only="normalization")
    expected = CHOSEN[kind]
    if expected is None:
        expected = [v.name for v in layer.trainable_variables]
    assert [v.name for v in paths(model, "normalization")] == ["gamma", "beta", *expected]


GROUPS = {layers.GroupNormalization: {"groups": 1}}


def test_lora_is_what_keras_has_enabled():
    class Flora(layers.Layer):
        def build(self, shape):
            self.flora_kernel = self.add_weight(shape=shape[-1:], name="flora_kernel")

        def call(self, x):
            return x * self.flora_kernel

    dense = layers.Dense(3, name="dense")
    net = keras.Sequential(
        [keras.Input((2,), dtype="int32"), layers.Embedding(5, 3, name="words"), Flora(), dense]
    )
    with pytest.raises(ValueError, match="`perturb_only` must choose one"):
        paths(net, "lora")
    dense.enable_lora(1)
    net.get_layer("words").enable_lora(1)
    factors = ("embeddings_a", "embeddings_b", "kernel_a", "kernel_b")
    assert [v.name for v in paths(net, "lora")] == [f"lora_{factor}" for factor in factors]


FOLDERS = ["a.weights.b", "run.weights.h5", "plain", "UPPER.WEIGHTS.H5"]


@pytest.mark.filterwarnings("ignore:HDF5 keeps no state")
@pytest.mark.parametrize("folder", crossed(FOLDERS, default=FOLDERS[:1]))
@pytest.mark.parametrize(
    "make", crossed([SharpnessAwareModel, sharpness_aware], default=[SharpnessAwareModel])
)
@pytest.mark.parametrize(
    "name", ["model.keras", "model.h5", "model.weights.h5", "model.weights.json", "model.weights"]
)
def test_a_file_is_what_its_own_name_ends_with(folder, make, name, tmp_path):
    """As in plain Keras, which also tells what is no such file."""

    def made():
        keras.utils.set_random_seed(1)
        net = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="dense")])
        model = make(net, "friendly_sam")
        model.compile("adam", "mse")
        return model

    path = tmp_path / folder / name
    path.parent.mkdir()
    first, second = made(), made()
    first.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    if name == "model.weights":
        with pytest.raises(ValueError, match=r"must end in `.weights.h5`"):
            first.save_weights(path)
        with pytest.raises(ValueError, match="File format not supported"):
            second.load_weights(path)
        return
    if name.endswith(".json"):
        first.save_weights(path, max_shard_size=1)
    elif ".weights." in name:
        first.save_weights(str(path))
    else:
        first.save(path)
    second.load_weights(path)
    for one, other in zip(first.trainable_weights, second.trainable_weights, strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (one, other)))


@pytest.mark.parametrize("own", ["majority", keras.layers.Dense(3)], ids=["string", "layer"])
def test_a_plain_model_may_have_a_rule_of_its_own(own, tmp_path):
    """For which measures of flatness and `Backup` do not take it."""
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.rule = own
    model.compile("sgd", "mse")
    x, y = np.ones((4, 3), "float32"), np.ones((4, 1), "float32")
    model.fit(x, y, epochs=2, verbose=0, callbacks=[Backup(tmp_path)])
    assert ball_loss(model, (x, y)).loss == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)

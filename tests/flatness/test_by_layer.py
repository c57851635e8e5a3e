"""By layer, the measures are those of the Hessian's blocks that NumPy finds in float64."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_zsharp import SharpnessAwareModel
from keras_zsharp.callbacks import SharpnessMonitor
from keras_zsharp.flatness import MeanLoss, hessian_spectrum, hessian_trace
from keras_zsharp.flatness.blocks import of_layers
from tests.flatness import numpy_network
from tests.flatness.numpy_network import DATA, PARTS, network


@pytest.fixture(scope="module")
def small():
    """A model and its mean loss, which is traced once."""
    model = network()
    return model, MeanLoss(model, DATA)


def paths(model, *inputs):
    """The number of weights of each layer, by its path."""
    model.compile("sgd", "mse")
    inputs = [np.ones((4, *shape), "float32") for shape in inputs]
    x, y = inputs[0] if len(inputs) == 1 else inputs, np.ones((4, 1), "float32")
    return {path: block.size for path, block in of_layers(MeanLoss(model, (x, y))).items()}


@pytest.mark.parametrize("which", ["LA", "SA", "LM"])
def test_eigenvalues_are_those_of_the_blocks(small, which):
    found = hessian_spectrum(*small, k=3, which=which, by="layer")
    blocks = numpy_network.blocks()
    assert list(found) == list(blocks)
    for path, block in blocks.items():
        values = np.linalg.eigvalsh(block)
        order = {"LA": -values, "SA": values, "LM": -np.abs(values)}[which]
        np.testing.assert_allclose(found[path], values[np.argsort(order)[:3]], rtol=1e-3, atol=1e-5)


def test_eigenvectors_are_shaped_like_the_variables_of_the_layer(small):
    found = hessian_spectrum(*small, k=1, by="layer", eigenvectors=True)
    for path, block in numpy_network.blocks().items():
        [value], [[kernel, bias]] = found[path]
        assert kernel.shape[1:] == bias.shape
        vector = np.concatenate([kernel.ravel(), bias])
        np.testing.assert_allclose(block @ vector, value * vector, atol=1e-3 * value)


def test_lanczos_finds_the_eigenvalues_of_a_large_block():
    model = keras.Sequential([keras.Input((30,)), layers.Dense(1), layers.Dense(1)], name="net")
    model.compile("sgd", "mse")
    x, y = (np.random.default_rng(0).normal(size=(50, n)).astype("float32") for n in (30, 1))
    found = hessian_spectrum(model, (x, y), k=2, by="layer")["net/" + model.layers[0].name]
    x = np.hstack([x, np.ones((50, 1))])
    scale = keras.ops.convert_to_numpy(model.layers[1].kernel).item()
    exact = np.linalg.eigvalsh(2 * scale**2 * x.T @ x / 50)[:-3:-1]
    np.testing.assert_allclose(found, exact, rtol=1e-3)


def test_traces_add_up_to_the_whole_one(small):
    """A layer's estimate is the mean of `z_lᵀ (H z)_l`."""
    found = hessian_trace(*small, samples=7, by="layer", seed=3)
    whole = hessian_trace(*small, samples=7, seed=3)
    assert sum(trace.mean for trace in found.values()) == pytest.approx(whole.mean)
    rng = np.random.default_rng(3)
    signs = np.array([rng.choice([-1.0, 1.0], size=26) for _ in range(7)])
    terms = signs * (signs @ numpy_network.hessian())
    for path, part in PARTS.items():
        values = terms[:, part].sum(1)
        error = values.std(ddof=1) / np.sqrt(7)
        np.testing.assert_allclose(found[path], [values.mean(), error], rtol=1e-4)


def test_traces_are_those_of_the_blocks(small):
    """With the variance that the docstring tells."""
    found = hessian_trace(*small, samples=200, by="layer")
    whole = numpy_network.hessian()
    for path, part in PARTS.items():
        block = whole[part, part]
        assert abs(found[path].mean - np.trace(block)) < 4 * found[path].standard_error
        within = (block**2).sum() - (np.diag(block) ** 2).sum()
        between = (whole[part] ** 2).sum() - (block**2).sum()
        expected = np.sqrt((2 * within + between) / 200)
        assert found[path].standard_error == pytest.approx(expected, rel=0.2)


def test_a_wrapper_shows_the_layers_of_its_network(small):
    net, _ = small
    expected = hessian_trace(*small, samples=2, by="layer")
    wrapped = SharpnessAwareModel(net, "sam")
    wrapped.compile("sgd", "mse")
    found = hessian_trace(wrapped, DATA, samples=2, by="layer")
    assert list(found) == list(expected) == list(PARTS)
    for path, trace in expected.items():
        np.testing.assert_allclose(found[path], trace, rtol=1e-5)


def test_layers_inside_other_layers_are_found():
    inputs = keras.Input((5, 3))
    x = layers.SimpleRNN(4, name="recurrent")(inputs)
    net = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="inner")], name="part")
    model = keras.Model(inputs, layers.Dense(1, name="head")(net(x)), name="net")
    assert paths(model, (5, 3)) == {"recurrent/simple_rnn_cell": 32, "part/inner": 10, "head": 3}


def test_a_shared_layer_is_there_once_and_a_frozen_one_not_at_all():
    ends = [keras.Input((3,)), keras.Input((3,))]
    shared, frozen = layers.Dense(2, name="shared"), layers.Dense(2, name="frozen", trainable=False)
    x = layers.Concatenate()([frozen(shared(end)) for end in ends])
    model = keras.Model(ends, layers.Dense(1, name="head")(x))
    assert paths(model, (3,), (3,)) == {"shared": 8, "head": 5}


def test_layers_of_one_path_are_told_apart():
    ends = keras.Input((3,))
    halves = [keras.Model(ends, layers.Dense(1, name="same")(ends)) for _ in range(2)]
    model = keras.Model(ends, layers.Add()([half(ends) for half in halves]))
    assert paths(model, (3,)) == {"same": 4, "same_1": 4}


def test_variables_of_the_model_itself_have_its_name():
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="own")
            self.scale = self.add_weight(shape=(3,), initializer="ones")
            self.head = layers.Dense(1, name="head")

        def call(self, inputs):
            return self.head(inputs * self.scale)

    assert paths(Own(), (3,)) == {"own": 3, "own/head": 4}


@pytest.mark.parametrize("measure", [hessian_trace, hessian_spectrum])
def test_mistakes(measure):
    message = r"^`by` must be 'layer' or None\. Received: by='layers'\. Did you mean 'layer'\?"
    with pytest.raises(ValueError, match=message):
        measure(network(), DATA, by="layers")
    with pytest.raises(TypeError, match=r"^`by` must be a string or None\. Received: by=1 of type"):
        measure(network(), DATA, by=1)


def test_the_monitor_logs_numbers_of_the_whole_network():
    with pytest.raises(TypeError, match=r"`measures\['trace'\]` must be arguments of"):
        SharpnessMonitor(DATA, {"trace": {"by": "layer"}})

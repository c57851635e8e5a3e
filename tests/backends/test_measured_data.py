"""Measures of flatness take what `fit` takes, and find what they find in arrays."""

import keras
import numpy as np
import pytest

from keras_zsharp.callbacks import SharpnessMonitor
from keras_zsharp.flatness import MeanLoss, ball_loss, hessian_trace, spectral_density
from tests.tiers import crossed

RANDOM = np.random.default_rng(0)
A, B = (RANDOM.normal(size=(10, n)).astype("float32") for n in (3, 2))
Y = RANDOM.normal(size=(10, 1)).astype("float32")
WEIGHT = RANDOM.uniform(0.5, 2, 10).astype("float32")
INPUTS = {"array": A, "dict": {"a": A, "b": B}, "list": [A, B]}
SIZE = 4


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = [keras.layers.Dense(2) for _ in range(2)]

    def call(self, inputs):
        parts = keras.tree.flatten(inputs)
        found = sum(layer(x) for layer, x in zip(self.hidden, parts, strict=False))
        self.add_loss(keras.ops.mean(found**2))
        return found


def compiled():
    keras.utils.set_random_seed(0)
    model = Net()
    model.compile("sgd", "mse")
    return model


def cut(data, start):
    return keras.tree.map_structure(lambda x: None if x is None else x[start : start + SIZE], data)


def batches(data):
    for start in range(0, 10, SIZE):
        yield cut(data, start)


class Dataset(keras.utils.PyDataset):
    def __init__(self, data, length=3, **kwargs):
        super().__init__(**kwargs)
        self.data, self.length, self.epochs = data, length, 0

    @property
    def num_batches(self):
        return self.length

    def __getitem__(self, index):
        return cut(self.data, index % 3 * SIZE)

    def on_epoch_end(self):
        self.epochs += 1


def loader(data, **kwargs):
    torch = pytest.importorskip("torch", reason="PyTorch is not here")
    rows = [keras.tree.map_structure(lambda x: x[i], data) for i in range(10)]  # noqa: B023
    return torch.utils.data.DataLoader(rows, batch_size=SIZE, **kwargs)


KINDS = {
    "generator": batches,
    "PyDataset": Dataset,
    "PyDataset with workers": lambda data: Dataset(data, workers=2),
    "DataLoader": loader,
    "shuffled DataLoader": lambda data: loader(data, shuffle=True),
}


@pytest.mark.parametrize("weighted", crossed([False, True], default=[True]))
@pytest.mark.parametrize("inputs", crossed(INPUTS, default=["dict"]))
@pytest.mark.parametrize("kind", KINDS)
def test_what_fit_takes_is_measured_like_arrays(kind, inputs, weighted):
    data = (INPUTS[inputs], Y, *([WEIGHT] if weighted else []))
    model, made = compiled(), KINDS[kind](data)
    expected, mean = MeanLoss(model, data, SIZE), MeanLoss(model, made)
    for _ in range(2):
        loss, gradient = mean.gradient(np.zeros(mean.size))
        assert loss == pytest.approx(expected.loss(np.zeros(mean.size)), rel=1e-5)
        known = expected.gradient(np.zeros(mean.size))[1]
        np.testing.assert_allclose(gradient, known, rtol=1e-4, atol=1e-6)
    if isinstance(made, Dataset):
        assert made.epochs == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_hessian_is_that_of_arrays(kind):
    model = compiled()

    def measured(make):
        traces = hessian_trace(model, make(), 2, by="layer", batch_size=SIZE)
        nodes = spectral_density(model, make(), 1, 3, batch_size=SIZE).nodes
        return np.array([*traces.values()]), nodes

    expected = measured(lambda: (A, Y))
    for found, known in zip(measured(lambda: KINDS[kind]((A, Y))), expected, strict=True):
        np.testing.assert_allclose(found, known, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_batches(kind):
    if kind.startswith("shuffled"):
        pytest.skip("Any batch may come first.")
    model = compiled()
    expected = MeanLoss(model, (A[:SIZE], Y[:SIZE]))
    found = MeanLoss(model, KINDS[kind]((A, Y)), batches=1)
    nothing = np.zeros(found.size)
    assert found.loss(nothing) == pytest.approx(expected.loss(nothing), rel=1e-5)


@pytest.mark.parametrize("inputs", INPUTS)
def test_inputs_alone(inputs):
    """The loss is what layers add."""
    model = Net()
    model.compile("sgd")
    x = INPUTS[inputs]
    found = ball_loss(model, x, steps=1)
    assert found.loss == pytest.approx(model.evaluate(x, verbose=0), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_callback_measures_in_each_run(kind):
    model = compiled()
    monitor = SharpnessMonitor(KINDS[kind]((A, Y)))
    for _ in range(2):
        logs = model.fit(A, Y, epochs=2, verbose=0, callbacks=[monitor]).history
        assert all(np.isfinite(logs["ball_loss"]))
    expected = ball_loss(model, (A, Y), batch_size=SIZE)
    assert logs["ball_loss"][-1] == pytest.approx(expected.ball_loss, rel=1e-4)


@pytest.mark.parametrize("kind", ["arrays", "generator", "PyDataset", "DataLoader"])
def test_sample_weights_that_are_none(kind):
    """As `fit` takes them. PyTorch's own loaders cannot put them together."""
    data, model = (A, Y, None), compiled()
    if kind == "DataLoader":
        torch = pytest.importorskip("torch", reason="PyTorch is not here")
        made = torch.utils.data.DataLoader(list(batches(data)), batch_size=None)
    else:
        made = data if kind == "arrays" else KINDS[kind](data)
    found, expected = (MeanLoss(model, each, SIZE) for each in (made, (A, Y)))
    nothing = np.zeros(found.size)
    assert found.loss(nothing) == pytest.approx(expected.loss(nothing), rel=1e-5)


def test_sparse_arrays():
    sparse = pytest.importorskip("scipy.sparse")
    model = compiled()
    for make in (sparse.csr_matrix, sparse.coo_matrix):
        found, expected = (MeanLoss(model, (x, Y), SIZE) for x in (make(A), A))
        nothing = np.zeros(found.size)
        assert found.loss(nothing) == pytest.approx(expected.loss(nothing), rel=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow has strings")
@pytest.mark.parametrize("make", [np.array, lambda words: np.array(words, object), "tensor"])
def test_strings(make):
    words = [["a b"], ["c"], ["b"]] * 4
    x, y = keras.ops.convert_to_tensor(words) if make == "tensor" else make(words), np.ones((12, 1))
    text = keras.layers.TextVectorization(output_sequence_length=3, vocabulary=["a", "b", "c"])
    model = keras.Sequential(
        [text, keras.layers.Embedding(9, 2), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    model.fit(keras.ops.convert_to_tensor(words), y, verbose=0)
    found = ball_loss(model, (x, y), steps=1)
    expected = model.evaluate(keras.ops.convert_to_tensor(words), y, verbose=0)
    assert found.loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch's loader is for PyTorch")
def test_a_loader_of_what_numpy_lacks():
    torch = pytest.importorskip("torch")
    halves = [torch.tensor(array).bfloat16() for array in (A, Y)]
    made = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*halves), batch_size=SIZE)
    model = compiled()
    assert ball_loss(model, made).loss == pytest.approx(model.evaluate(made, verbose=0), rel=1e-2)


@pytest.mark.parametrize("kind", ["DataLoader", "shuffled DataLoader"])
def test_a_loader_moves_no_generator(kind):
    made = KINDS[kind]((A, Y))
    torch = pytest.importorskip("torch")
    before = torch.get_rng_state()
    mean = MeanLoss(compiled(), made)
    mean.loss(np.zeros(mean.size))
    assert (torch.get_rng_state() == before).all()


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (iter([(A, Y)]), TypeError, "`data` must be a tf.data.Dataset of batches"),
        ([A, Y], TypeError, "with targets for the compiled loss"),
        ("data", TypeError, "`data` must be a tf.data.Dataset of batches"),
        (Dataset((A, Y), None), ValueError, "`data` must be finite: give `batches`"),
        (Dataset((A, Y), 0), ValueError, "`data` must hold at least one example"),
    ],
)
def test_what_cannot_be_measured_is_refused(data, error, message):
    with pytest.raises(error, match=message):
        MeanLoss(compiled(), data)

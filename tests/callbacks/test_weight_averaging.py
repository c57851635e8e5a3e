import itertools

import keras
import numpy as np
import pytest
from keras import layers

from keras_zsharp import SAM, SharpnessAwareModel, sharpness_aware
from keras_zsharp.callbacks import Backup, WeightAveraging
from tests.backends import networks
from tests.tiers import crossed

EXAMPLES, EPOCHS = 3 * networks.BATCH, 5
WAYS = {
    "plain": lambda net: net,
    "wrapper": lambda net: SharpnessAwareModel(net, SAM(rho=0.1)),
    "in place": lambda net: sharpness_aware(net, SAM(rho=0.1)),
}


class Notes(keras.callbacks.Callback):
    """The weights of each epoch."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(networks.copied(self.model.trainable_variables))


def network():
    """With noise, which must not differ for the callback's sake."""
    return networks.network(dropout=0.3)


def trained(model, *callbacks, epochs=EPOCHS):
    networks.trained(networks.compiled(model), epochs, EXAMPLES, callbacks=list(callbacks))
    return model


def same(one, other, **tolerance):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, **{"rtol": 1e-6, "atol": 1e-7, **tolerance})


STARTS = {
    "share": (0.6, 1, [3, 4]),
    "every": (1, 2, [1, 3]),
    "all": (0, 1, [0, 1, 2, 3, 4]),
    "none": (0.99, 1, []),
}


@pytest.mark.parametrize(
    ("way", "start"),
    crossed(
        itertools.product(WAYS, STARTS),
        default=[("wrapper", "share"), ("plain", "every"), ("in place", "none")],
    ),
)
def test_the_mean_of_the_epochs(way, start):
    start, every, epochs = STARTS[start]
    notes = Notes()
    averaging = WeightAveraging(start, networks.data(EXAMPLES), every=every)
    model = WAYS[way](network())
    if not epochs:
        with pytest.warns(UserWarning, match="The mean is of 0 epochs"):
            trained(model, averaging, notes)
        epochs = [EPOCHS - 1]
    else:
        trained(model, averaging, notes)
        assert averaging.averaged == len(epochs)
    expected = [
        np.mean(each, axis=0) for each in zip(*(notes.weights[e] for e in epochs), strict=True)
    ]
    same(networks.copied(model.trainable_variables), expected)
    straight = Notes()
    trained(WAYS[way](network()), straight)
    same(notes.weights[-1], straight.weights[-1], rtol=0, atol=0)


def test_statistics_are_those_of_the_mean():
    model = trained(network(), WeightAveraging(0.5, networks.data(EXAMPLES)))
    x, _ = networks.data(EXAMPLES)
    [normal] = [la for la in model.layers if isinstance(la, layers.BatchNormalization)]
    before = keras.Sequential(model.layers[: model.layers.index(normal)])
    batches = keras.ops.convert_to_numpy(before(x)).reshape(3, networks.BATCH, -1, 4)
    axes = (1, 2)
    same([normal.moving_mean.numpy()], [batches.mean(axes).mean(0)], rtol=1e-4, atol=1e-5)
    same([normal.moving_variance.numpy()], [batches.var(axes).mean(0)], rtol=1e-4)
    assert normal.momentum == 0.99


def fit_of(net, x, averaging, **fit):
    net.compile(keras.optimizers.SGD(0.0), "mse")
    y = np.zeros((len(keras.tree.flatten(x)[0]), 1))
    net.fit(x, y, verbose=0, callbacks=[averaging], **fit)


def test_each_batch_draws_noise_of_its_own():
    normal = layers.BatchNormalization()
    net = keras.Sequential(
        [keras.Input((5,)), layers.Dropout(0.5, seed=0), normal, layers.Dense(1)]
    )
    x = np.ones((200, 5), "float32")
    fit_of(net, x, WeightAveraging(0, (x, x[:, :1]), batch_size=50))
    np.testing.assert_allclose(normal.moving_mean.numpy(), np.ones(5), atol=0.3)
    assert (normal.moving_variance.numpy() > 0.5).all()


def test_a_shared_layer_has_the_mean_of_its_calls():
    one, other = keras.Input((3,)), keras.Input((3,))
    normal = layers.BatchNormalization()
    outputs = layers.Dense(1)(layers.Concatenate()([normal(one), normal(other)]))
    x = [np.zeros((8, 3), "float32"), np.full((8, 3), 10.0, "float32")]
    fit_of(keras.Model([one, other], outputs), x, WeightAveraging(0, (tuple(x), x[0][:, :1])))
    np.testing.assert_allclose(normal.moving_mean.numpy(), [5.0] * 3)


def test_statistics_that_are_not_finite_are_estimated_anew():
    normal = layers.BatchNormalization()
    net = keras.Sequential([keras.Input((3,)), normal, layers.Dense(1)])
    normal.moving_mean.assign([np.nan] * 3)
    x = np.ones((8, 3), "float32")
    fit_of(net, x, WeightAveraging(0, (x, x[:, :1])))
    np.testing.assert_allclose(normal.moving_mean.numpy(), [1.0] * 3)


def test_early_stopping_must_not_undo_the_mean():
    net = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    net.compile("sgd", "mse")
    stop = keras.callbacks.EarlyStopping("loss", restore_best_weights=True)
    x = np.ones((4, 3))
    net.fit(x, x[:, :1], verbose=0, callbacks=[stop, WeightAveraging(0)])
    with pytest.raises(ValueError, match="must come after an `EarlyStopping`"):
        net.fit(x, x[:, :1], verbose=0, callbacks=[WeightAveraging(0), stop])


class Freezes(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.model.layers[0].trainable = epoch == 0


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX keeps the kinds of variables")
def test_a_mean_is_of_the_same_variables():
    net = keras.Sequential([keras.Input((3,)), layers.Dense(1), layers.Dense(1)])
    net.compile("sgd", "mse", run_eagerly=True)
    x = np.ones((4, 3))
    with pytest.raises(ValueError, match="The trainable variables must stay the same"):
        net.fit(x, x[:, :1], epochs=2, verbose=0, callbacks=[Freezes(), WeightAveraging(0)])


def test_a_run_that_begins_later_is_told():
    net = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    net.compile("sgd", "mse")
    x = np.ones((4, 3))
    with pytest.warns(UserWarning, match="The mean is of 1 epochs, of 3 since start=1"):
        net.fit(x, x[:, :1], epochs=4, initial_epoch=3, verbose=0, callbacks=[WeightAveraging(1)])


def test_weights_stay_where_the_statistics_fail():
    notes = Notes()
    model = networks.compiled(network())
    wrong = np.ones((4, 8, 8, 3), "float32"), np.ones(4)
    with pytest.raises(Exception):  # noqa: B017, PT011 (Keras', of the backend)
        networks.trained(model, 3, EXAMPLES, callbacks=[notes, WeightAveraging(0, wrong)])
    same(networks.copied(model.trainable_variables), notes.weights[-1], rtol=0, atol=0)


def test_nothing_else_changes():
    notes = Notes()
    one, other = trained(network(), WeightAveraging(0.5, networks.data(EXAMPLES))), network()
    trained(other, notes)
    kept = [
        [v for v in model.non_trainable_variables if "moving" not in v.path]
        for model in (one, other)
    ]
    assert len(kept[0]) == 1  # The seed of the dropout.
    same(*map(networks.copied, kept), rtol=0, atol=0)


def test_without_batch_normalization_no_data_is_needed():
    net = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    net.compile("sgd", "mse")
    averaging = WeightAveraging(0)
    net.fit(np.ones((4, 3)), np.ones((4, 1)), epochs=2, verbose=0, callbacks=[averaging])
    assert averaging.averaged == 2
    model = networks.compiled(network())
    with pytest.raises(ValueError, match="`data` must be training data"):
        networks.trained(model, 2, EXAMPLES, callbacks=[averaging])


def test_as_a_dataset_of_keras():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            rows = slice(networks.BATCH * index, networks.BATCH * (index + 1))
            return tuple(each[rows] for each in networks.data(EXAMPLES))

    ends = [
        networks.copied(trained(network(), WeightAveraging(0.5, data)).variables)
        for data in (networks.data(EXAMPLES), Batches())
    ]
    same(*ends)


class Interrupts(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 3:
            raise KeyboardInterrupt


@pytest.mark.parametrize("first", [True, False])
def test_an_interrupted_run_goes_on(first, tmp_path):
    def callbacks(*others):
        both = [Backup(tmp_path), WeightAveraging(0.2, networks.data(EXAMPLES))]
        return [*both[:: 1 if first else -1], *others]

    averaging = WeightAveraging(0.2, networks.data(EXAMPLES))
    straight = trained(SharpnessAwareModel(network(), SAM(rho=0.1)), averaging)
    with pytest.raises(KeyboardInterrupt):
        trained(SharpnessAwareModel(network(), SAM(rho=0.1)), *callbacks(Interrupts()))
    resumed = trained(SharpnessAwareModel(network(), SAM(rho=0.1)), *callbacks())
    same(*(networks.copied(m.model.weights) for m in (straight, resumed)), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"start": 1.0}, "start"),
        ({"start": -1}, "start"),
        ({"start": float("nan")}, "start"),
        ({"start": None}, "start"),
        ({"every": 0}, "every"),
        ({"batch_size": 0}, "batch_size"),
        ({"data": "data"}, "data"),
    ],
)
def test_arguments_out_of_bounds(arguments, name):
    with pytest.raises((TypeError, ValueError), match=f"`{name}` must be"):
        WeightAveraging(**arguments)

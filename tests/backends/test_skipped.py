"""Steps that are skipped are counted and warned of, and the loss scale recovers."""

import itertools
import warnings

import keras
import numpy as np
import pytest

from keras_zsharp import SharpnessAwareModel, plain, sharpness_aware
from keras_zsharp.backend.passes import SMALLEST_SCALE
from keras_zsharp.training.skipped import IN_A_ROW
from tests.tiers import crossed

SHORT = 10
X, Y = np.ones((12 * SHORT, 3), "float32"), np.ones((12 * SHORT, 1), "float32")
WAYS = {"wrapper": SharpnessAwareModel, "in place": sharpness_aware}


def compiled(way="wrapper", eagerly=False, optimizer="sgd", **options):
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    model = WAYS[way](net, "sam", **options)
    model.compile(optimizer, "mse", run_eagerly=eagerly)
    return model


def scaled(**arguments):
    return keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), **arguments)


def with_bad(*batches):
    x = X.copy()
    for batch in batches:
        x[SHORT * batch] = np.nan
    return x


def warned(use):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        use()
    return [str(w.message) for w in caught if "steps were all skipped" in str(w.message)]


@pytest.mark.parametrize(
    ("way", "eagerly", "options"),
    crossed(
        itertools.product(WAYS, (False, True), ({}, {"micro_batches": 2}, {"perturb_every": 2})),
        default=[("wrapper", False, {"micro_batches": 2}), ("in place", True, {})],
    ),
)
def test_an_epoch_logs_the_steps_that_it_skipped(way, eagerly, options):
    model, seen = compiled(way, eagerly, skip_nonfinite=True, **options), []
    see = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs)))
    settings = {"batch_size": SHORT, "shuffle": False, "verbose": 0, "callbacks": [see]}
    history = model.fit(with_bad(0, 3, 4), Y, validation_data=(X, Y), epochs=2, **settings).history
    assert history["skipped"] == [3, 3]
    assert [logs["skipped"] for logs in seen] == [3, 3]
    assert sorted(history) == ["loss", "sharpness", "skipped", "val_loss"]
    assert model.fit(X, Y, **settings).history["skipped"] == [0]
    assert sorted(model.evaluate(X, Y, verbose=0, return_dict=True)) == ["loss"]
    logs = model.train_on_batch(with_bad(0), Y, return_dict=True)
    assert logs["skipped"] == 1


@pytest.mark.parametrize("options", [{}, {"skip_nonfinite": False}])
def test_a_model_that_skips_nothing_logs_nothing(options):
    model = compiled(**options)
    assert sorted(model.fit(X, Y, verbose=0).history) == ["loss", "sharpness"]


def test_skipping_may_begin_and_end_within_a_run():
    model = compiled()

    def change(epoch):
        model.skip_nonfinite = epoch == 1

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: change(epoch + 1))]
    logs = model.fit(X, Y, epochs=2, callbacks=callbacks, verbose=0).history
    assert logs["skipped"] == [0]
    assert len(logs["loss"]) == 2
    assert "skipped" not in model.fit(X, Y, verbose=0).history


def test_the_count_is_in_no_file_and_leaves_with_the_rule(tmp_path):
    model = compiled("in place", skip_nonfinite=True)
    model.fit(with_bad(1), Y, batch_size=SHORT, verbose=0)
    count = len(model.variables), len(model.weights)
    for path in (tmp_path / "model.keras", tmp_path / "model.weights.h5"):
        model.save(path) if path.suffix == ".keras" else model.save_weights(path)
        other = compiled("in place")  # It counts nothing.
        assert (len(other.variables), len(other.weights)) == count
        other.load_weights(path)
    assert keras.saving.load_model(tmp_path / "model.keras").skipping.metric.steps == 0
    plain(model).compile("sgd", "mse")
    assert sorted(model.fit(X, Y, verbose=0).history) == ["loss"]


@pytest.mark.parametrize("eagerly", crossed([False, True], default=[False]))
def test_many_in_a_row_are_warned_of_once(eagerly):
    model = compiled(eagerly=eagerly, skip_nonfinite=True)

    def fit(x, epochs):
        model.fit(x, Y, batch_size=SHORT, shuffle=False, epochs=epochs, verbose=0)

    bad = with_bad(*range(12))
    assert not warned(lambda: fit(with_bad(*range(11)), 5))
    [message] = warned(lambda: fit(bad, 5))
    assert f"Received: model='{model.name}'" in message
    assert not warned(lambda: fit(bad, 1))
    assert not warned(lambda: fit(X, 1))
    assert len(warned(lambda: fit(bad, 5))) == 1


def test_batches_by_hand_are_warned_of():
    model = compiled(eagerly=True, skip_nonfinite=True)
    bad = with_bad(0)

    def train(steps):
        for _ in range(steps):
            model.train_on_batch(bad, Y)

    assert not warned(lambda: train(IN_A_ROW - 1))
    assert len(warned(lambda: train(5))) == 1


@pytest.mark.parametrize("eagerly", crossed([False, True], default=[False]))
@pytest.mark.filterwarnings("ignore:The last")
def test_the_loss_scale_recovers(eagerly):
    """Keras halves it down to 0, with which no step is ever taken."""
    optimizer = scaled(initial_scale=4 * SMALLEST_SCALE, dynamic_growth_steps=3)
    model = compiled(eagerly=eagerly, optimizer=optimizer)
    scales = []
    for x in (with_bad(0),) * 5 + (X,) * 3:
        model.train_on_batch(x, Y)
        scales.append(float(keras.ops.convert_to_numpy(optimizer.dynamic_scale)) / SMALLEST_SCALE)
    assert scales == [2, 1, 1, 1, 1, 1, 1, 2]
    assert int(keras.ops.convert_to_numpy(optimizer.iterations)) == 3


def test_a_smaller_scale_of_ones_own_stays():
    optimizer = scaled(initial_scale=SMALLEST_SCALE / 4)
    model = compiled(eagerly=True, optimizer=optimizer)
    model.train_on_batch(with_bad(0), Y)
    assert optimizer.dynamic_scale == SMALLEST_SCALE / 4

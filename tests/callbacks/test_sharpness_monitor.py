"""The monitor logs what the measures say, and training does not notice it."""

import csv
import re

import keras
import numpy as np
import pytest

import keras_zsharp
from keras_zsharp import SharpnessAwareModel
from keras_zsharp.callbacks import SharpnessMonitor
from keras_zsharp.flatness import ball_loss, hessian_spectrum, hessian_trace
from tests.tiers import crossed
from tests.training.cases import CASES, SPARSE, assert_same

CASE = CASES["subclassed"]  # with dropout and a regularizer
DATA = CASE.x, CASE.y
EVERYTHING = {"ball": {"rho": 0.5, "random": 1}, "eigenvalue": {}, "trace": {"samples": 2}}
KEYS = ["ball_loss", "ball_sharpness", "hessian_eigenvalue", "hessian_trace", "hessian_trace_error"]


def model(wrap=lambda net: SharpnessAwareModel(net, "sam")):
    keras.utils.set_random_seed(0)
    model = wrap(CASE.build())
    model.compile("adamw", CASE.loss, metrics=["mae"])
    return model


def test_logs_hold_what_the_measures_say(tmp_path):
    trained, path = model(), tmp_path / "log.csv"
    callbacks = [SharpnessMonitor(DATA, EVERYTHING, every=2), keras.callbacks.CSVLogger(path)]
    history = trained.fit(*DATA, batch_size=5, epochs=4, callbacks=callbacks, verbose=0).history
    assert set(KEYS) < set(history)
    for key in KEYS:
        assert np.isnan(history[key]).tolist() == [True, False, True, False]
    ball = ball_loss(trained, DATA, rho=0.5, random=1)
    trace = hessian_trace(trained, DATA, samples=2)
    expected = [ball.ball_loss, ball.sharpness, hessian_spectrum(trained, DATA, k=1)[0], *trace]
    np.testing.assert_allclose([history[key][-1] for key in KEYS], expected, rtol=1e-4)
    assert history["ball_loss"][1] != history["ball_loss"][3]
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    for key in KEYS:
        np.testing.assert_allclose([float(row[key]) for row in rows], history[key], rtol=1e-6)


WRAPS = {"plain": lambda net: net, "zsharp": lambda net: SharpnessAwareModel(net, "zsharp")}


@pytest.mark.parametrize("wrap", crossed(WRAPS, default=[]))
def test_training_ends_with_the_same_bits(wrap):
    ends = []
    for callbacks in (
        [],
        [SharpnessMonitor(DATA, {"ball": {"steps": 1}, "trace": {"samples": 1}})],
    ):
        trained = model(WRAPS[wrap])
        history = trained.fit(*DATA, batch_size=5, epochs=2, callbacks=callbacks, verbose=0).history
        ends.append([*trained.get_weights(), *(v.numpy() for v in trained.optimizer.variables)])
        ends[-1] += [history["loss"], history["mae"]]
    assert_same(*ends)


def test_order_of_a_bundle_is_kept_by_its_epochs():
    pytest.importorskip("tensorflow")
    bundle = keras_zsharp.data.digits(train_size=20, batch_size=5)
    ends = []
    for monitors in ([], [SharpnessMonitor(bundle.train, {"ball": {"steps": 1}})]):
        keras.utils.set_random_seed(0)
        net = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])
        net.compile("sgd", SPARSE)
        net.fit(bundle.train, epochs=2, callbacks=[*monitors, bundle.epoch_order], verbose=0)
        ends.append(net.get_weights())
    assert_same(*ends)


def test_model_may_be_compiled_anew_between_two_fits():
    monitor, net = SharpnessMonitor(DATA, "ball", batches=1, batch_size=6), model(lambda net: net)
    net.fit(*DATA, callbacks=[monitor], verbose=0)
    for layer in net.layers[:-1]:
        layer.trainable = False
    net.compile("sgd", CASE.loss)
    history = net.fit(*DATA, callbacks=[monitor], verbose=0).history
    expected = ball_loss(net, (DATA[0][:6], DATA[1][:6])).ball_loss
    assert history["ball_loss"] == [pytest.approx(expected, rel=1e-5)]


def test_mistakes():
    with pytest.raises(ValueError, match=r"`measures` must be of \('ball', .*Received: .*'flat'"):
        SharpnessMonitor(DATA, ("ball", "flat"))
    with pytest.raises(TypeError, match=r"`measures\['trace'\]` must be arguments of .*'rho'"):
        SharpnessMonitor(DATA, {"trace": {"rho": 0.1}})
    with pytest.raises(ValueError, match=r"`every` must be an int >= 1\. Received: every=0"):
        SharpnessMonitor(DATA, every=0)


@pytest.mark.parametrize(
    ("measures", "message"),
    [
        ({"ball": {"rho": -1}}, "`rho` must be >= 0. Received: rho=-1.0"),
        ({"ball": {"steps": 2.5}}, "`steps` must be an int. Received: steps=2.5"),
        ({"ball": {"seed": None}}, "`seed` must be an int. Received: seed=None"),
        ({"eigenvalue": {"tol": 0}}, "`tol` must be > 0. Received: tol=0.0"),
        ({"eigenvalue": {"which": "SM"}}, "`which` must be 'LA', 'SA' or 'LM'"),
        ({"trace": {"samples": "many"}}, "`samples` must be an int. Received: samples='many'"),
    ],
)
def test_mistakes_are_refused_before_training(measures, message):
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}"):
        SharpnessMonitor(DATA, measures)


@pytest.mark.parametrize("argument", ["batch_size", "batches"])
@pytest.mark.parametrize("value", [0, 2.5, "all"])
def test_mistakes_about_batches(argument, value):
    with pytest.raises((TypeError, ValueError), match=f"^`{argument}` must be an int"):
        SharpnessMonitor(DATA, **{argument: value})

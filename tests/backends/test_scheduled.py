"""The logs of `fit` show the numbers of a rule that follow a schedule, on each backend."""

import csv

import keras
import numpy as np
import pytest

from keras_zsharp import SAM, SharpnessAwareModel, ZSharp

X, Y = np.ones((8, 2), "float32"), np.zeros((8, 1), "float32")
FALLING = keras.optimizers.schedules.PolynomialDecay(0.8, 8, 0.0)
"""By 0.1 a step."""


def compiled(rule, **options):
    model = SharpnessAwareModel(keras.Sequential([keras.layers.Dense(1)]), rule, **options)
    model.compile("sgd", "mse")
    return model


def fitted(rule, **options):
    return compiled(rule).fit(X, Y, batch_size=4, epochs=2, verbose=0, **options).history


def test_the_logs_have_the_value_of_the_next_step(tmp_path):
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    assert fitted(SAM(rho=FALLING), callbacks=[log])["rho"] == pytest.approx([0.6, 0.4])
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [float(row["rho"]) for row in rows] == pytest.approx([0.6, 0.4])


def test_other_numbers_that_follow_a_schedule_are_there_too():
    found = fitted(ZSharp(rho=0.1, q_p=FALLING))
    assert found["q_p"] == pytest.approx([0.6, 0.4])
    assert "rho" not in found


def test_a_number_that_stays_is_not_logged_and_is_no_metric():
    assert fitted(SAM(rho=0.1)).keys() == {"loss", "sharpness"}
    assert [metric.name for metric in compiled(SAM(rho=FALLING)).metrics] == [
        metric.name for metric in compiled(SAM(rho=0.1)).metrics
    ]


def test_beside_a_share_of_training_and_for_arguments_by_place():
    model = compiled(SAM(rho=FALLING), perturb_from=0.5)
    seen = []
    spy = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["rho"]))
    history = model.fit(X, Y, 4, 2, 0, [spy]).history
    assert seen == history["rho"] == pytest.approx([0.6, 0.4])


def test_a_list_of_callbacks_that_is_made_stays_as_it_is():
    model = compiled(SAM(rho=FALLING))
    history = keras.callbacks.History()
    made = keras.callbacks.CallbackList([history], add_history=False, model=model)
    model.fit(X, Y, epochs=1, verbose=0, callbacks=made)
    assert made.callbacks == [history]
    assert "rho" not in history.history


def test_a_metric_of_that_name_is_left_alone():
    model = SharpnessAwareModel(keras.Sequential([keras.layers.Dense(1)]), SAM(rho=FALLING))
    model.compile("sgd", "mse", metrics=[keras.metrics.MeanMetricWrapper(lambda y, p: 7.0, "rho")])
    assert model.fit(X, Y, epochs=1, verbose=0).history["rho"] == [7.0]

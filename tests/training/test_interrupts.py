"""Ctrl-C leaves a step whole or not there."""

import signal
import threading

import keras
import numpy as np
import pytest
from keras import layers

from keras_zsharp import FriendlySAM, SharpnessAwareModel
from keras_zsharp.interrupts import held_back
from tests.tiers import crossed
from tests.training.cases import normal

X, Y = normal(5), normal(1)


def compiled():
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((5,)), layers.BatchNormalization(), layers.Dense(1)])
    model = SharpnessAwareModel(net, FriendlySAM(rho=0.1), skip_nonfinite=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", run_eagerly=True)
    model.train_on_batch(X, Y)
    return model


def state(model):
    """What the next step depends on."""
    variables = [*model.variables, *model.optimizer.variables]
    metrics = {id(v) for metric in model.metrics for v in metric.variables}
    return [v.numpy() for v in variables if id(v) not in metrics]


def equal(left, right):
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


class InterruptAt:
    """Presses Ctrl-C before the variable's assignment of that number, and counts them."""

    def __init__(self, monkeypatch, number):
        self.count = 0
        assign = keras.Variable.assign

        def counted(variable, value):
            self.count += 1
            if self.count == number:
                signal.raise_signal(signal.SIGINT)
            return assign(variable, value)

        monkeypatch.setattr(keras.Variable, "assign", counted)


@pytest.fixture
def interruptible():
    """Shells have what they start in the background ignore Ctrl-C."""
    found = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, found)


@pytest.mark.parametrize("stride", crossed([1, 4], default=[4]))
@pytest.mark.usefixtures("interruptible")
def test_no_interrupt_tears_an_eager_step(monkeypatch, stride):
    model = compiled()
    before = state(model)
    with monkeypatch.context() as patch:
        counted = InterruptAt(patch, None)
        model.train_on_batch(X, Y)
    after = state(model)
    outcomes = []
    for number in range(counted.count, 0, -stride):
        model = compiled()
        assert equal(state(model), before)
        with monkeypatch.context() as patch:
            InterruptAt(patch, number)
            with pytest.raises(KeyboardInterrupt):
                model.train_on_batch(X, Y)
        left = state(model)
        outcomes.append(
            "before" if equal(left, before) else "whole" if equal(left, after) else "torn"
        )
    assert "torn" not in outcomes, outcomes
    assert "whole" in outcomes


def test_handlers_run_in_order_once_the_block_is_left():
    seen = []
    old = signal.signal(signal.SIGUSR1, lambda *_: seen.append("handled"))
    try:
        with held_back():
            signal.raise_signal(signal.SIGUSR1)
            seen.append("written")
        signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert seen == ["written", "handled", "handled"]


def test_an_error_in_the_block_is_the_one_that_is_raised_and_handlers_are_put_back():
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), held_back():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is handler


def test_other_threads_write_as_they_are():
    errors = []

    def write():
        try:
            with held_back():
                pass
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert not errors

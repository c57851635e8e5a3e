"""Long runs and interrupts leave nothing behind."""

import os
import sys

import keras
import numpy as np
import pytest
from keras import layers

from keras_zsharp import SharpnessAwareModel
from tests.rules.rules import every_rule, fresh
from tests.tiers import crossed
from tests.training.cases import assert_same, normal

X, Y = normal(5), normal(1)


def standing_still(rule, **mode):
    """Trains at learning rate 0; its BatchNormalization moves, the weights must not."""
    inputs = keras.Input((5,))
    x = layers.BatchNormalization()(layers.Dense(6, activation="tanh")(inputs))
    model = SharpnessAwareModel(keras.Model(inputs, layers.Dense(1)(x)), rule)
    model.compile(keras.optimizers.Adam(0.0), "mse", **mode)
    return model


@pytest.mark.slow
@every_rule
def test_two_thousand_steps_at_rate_zero_leave_the_weights(name):
    model = standing_still(fresh(name))
    before = [v.numpy() for v in model.trainable_variables]
    x, y = np.repeat(X, 500, axis=0), np.repeat(Y, 500, axis=0)
    history = model.fit(x, y, batch_size=3, verbose=0).history
    assert int(model.optimizer.iterations) == 2000
    # With one pass there is no loss to compare with.
    assert history["sharpness"][0] > 0 or model.rule.reads != "gradients"
    assert_same([v.numpy() for v in model.trainable_variables], before)


def resident_bytes():
    with open("/proc/self/status", encoding="ascii") as status:
        [line] = [line for line in status if line.startswith("VmRSS")]
    return 1024 * int(line.split()[1])


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="only Linux tells")
def test_five_hundred_steps_do_not_grow_the_process():
    model, traces = standing_still("friendly_sam"), []
    step = model.train_step
    model.train_step = lambda data: traces.append(1) or step(data)
    for _ in range(50):
        model.train_on_batch(X, Y)
    before = resident_bytes()
    for rho in np.linspace(0.01, 0.1, 500):
        model.rule.rho = rho
        model.train_on_batch(X, Y)
    assert len(traces) == 1
    assert resident_bytes() - before < 10 * 2**20


class Interrupt:
    """Ctrl-C at the n-th call of a function of this library; counts the calls where n is None."""

    def __init__(self, n=None):
        self.n, self.calls = n, 0

    def __call__(self, frame, event, argument):
        ours = f"{os.sep}keras_zsharp{os.sep}" in frame.f_code.co_filename
        # Closing a generator is a call, too, out of which nothing can be raised.
        if event == "call" and ours and frame.f_code.co_name != "<genexpr>":
            self.calls += 1
            if self.calls == self.n:
                sys.setprofile(None)
                raise KeyboardInterrupt


def step_under(interrupt, model):
    sys.setprofile(interrupt)
    try:
        model.train_on_batch(X, Y)
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("rule", crossed(["zsharp", "friendly_sam"], default=["friendly_sam"]))
def test_interrupt_at_any_call_leaves_the_weights(rule):
    """The weights never leave w: at learning rate 0 they are the same bits whenever it comes."""
    model = standing_still(rule, run_eagerly=True)
    model.train_on_batch(X, Y)
    before = [v.numpy() for v in model.trainable_variables]
    step_under(calls := Interrupt(), model)
    assert calls.calls > 50
    for n in np.random.default_rng(0).permutation(calls.calls)[:40] + 1:
        with pytest.raises(KeyboardInterrupt):
            step_under(Interrupt(n), model)
        assert_same([v.numpy() for v in model.trainable_variables], before)
    assert np.isfinite(model.train_on_batch(X, Y)).all()

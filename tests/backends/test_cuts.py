"""Wherever an interrupt cuts a step, it leaves nothing open, and all of the step or nothing."""

import contextlib
import random
import signal
import sys
import warnings

import keras
import numpy as np
import pytest
from keras.src import backend

from keras_zsharp import FriendlySAM, SharpnessAwareModel
from keras_zsharp.flatness import ball_loss
from keras_zsharp.flatness.averages import Averages
from tests.backends import networks
from tests.tiers import crossed

BACKEND = keras.backend.backend()
if BACKEND == "torch":
    import torch
X, Y = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")


class DrawsAndCounts(keras.layers.Layer):
    """Draws noise that is not Keras' own: the step notes who draws. It counts its calls."""

    count = 0

    def call(self, inputs):
        if keras.ops.is_tensor(inputs):
            self.count += 1
        return inputs + 0.0 * (random.random() + np.random.random())


def made():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(3), keras.layers.Dropout(0.5), DrawsAndCounts()]
    net = keras.Sequential([keras.Input((3,)), *layers])
    model = SharpnessAwareModel(net, FriendlySAM(rho=0.1), skip_nonfinite=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", run_eagerly=True)
    return model


def process():
    """What the whole process, or the thread, shares."""
    generator = np.random.get_bit_generator()
    if free := generator.lock.acquire(blocking=False):
        generator.lock.release()
    found = {
        "profile": sys.getprofile(),
        "NumPy's generator": generator,
        "its lock is free": free,
        "scope": backend.in_stateless_scope(),
        "Ctrl-C": signal.getsignal(signal.SIGINT),
    }
    if BACKEND == "torch":
        found["gradients are recorded"] = torch.is_grad_enabled()
        found["threads go backward"] = torch._C._is_multithreading_enabled()
    return found


class Kept:
    """What the next step depends on, as it was at a time."""

    def __init__(self, model):
        metrics = {id(v) for metric in model.metrics for v in metric.variables}
        variables = [*model.variables, *model.optimizer.variables]
        self.variables = [v for v in variables if id(v) not in metrics]
        self.values = networks.copied(self.variables)
        [self.layer] = [each for each in model.layers if isinstance(each, DrawsAndCounts)]
        self.count = self.layer.count
        self.generator = torch.get_rng_state() if BACKEND == "torch" else np.zeros(())

    def __eq__(self, other):
        ours, theirs = ([*each.values, each.count, each.generator] for each in (self, other))
        return all(map(np.array_equal, ours, theirs))

    def put_back(self):
        self.layer.count = self.count
        if BACKEND == "torch":
            torch.set_rng_state(self.generator)
        for variable, value in zip(self.variables, self.values, strict=True):
            variable.assign(value)


class Interrupt:
    """Presses Ctrl-C as Python enters or leaves a function: at the event of a number.

    Args:
        within: Only events while this function runs are counted.
        counts: Chooses the frames of functions whose events are counted.
        number: The number of the event. None only counts.
    """

    def __init__(self, within, counts, number=None):
        self._within, self._counts, self._number = within.__code__, counts, number
        self._inside, self.count = False, 0

    def __enter__(self):
        sys.settrace(self._event)
        return self

    def __exit__(self, *error):
        sys.settrace(None)

    def _event(self, frame, event, argument):
        frame.f_trace_lines = False
        if event in ("call", "return"):
            if frame.f_code is self._within:
                self._inside = event == "call"
            if self._inside and self._counts(frame):
                self.count += 1
                if self.count == self._number:
                    signal.raise_signal(signal.SIGINT)
        return self._event


def contexts_of_ours(frame):
    """What the library's own code opens and closes."""
    return contexts(frame) and "keras_zsharp" in frame.f_back.f_code.co_filename


def contexts(frame):
    return frame.f_code.co_name in ("__enter__", "__exit__")


def functions_of_ours(frame):
    return "keras_zsharp" in frame.f_code.co_filename


@pytest.fixture(autouse=True)
def interruptible():
    """Shells have what they start in the background ignore Ctrl-C."""
    found = signal.signal(signal.SIGINT, signal.default_int_handler)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The two passes of a step draw different noise")
        yield
    signal.signal(signal.SIGINT, found)


STRIDES = {
    "tensorflow": [(contexts_of_ours, 7)],
    "jax": [(contexts_of_ours, 9), (contexts_of_ours, 2)],
    "torch": [(contexts_of_ours, 2), (contexts, 1), (functions_of_ours, 5)],
}[BACKEND]
"""Which events, and each how-manieth. Eager steps of the other backends are slow."""


def cuts(within, act, counts, stride):
    """Interrupts an act at one event after the other. Yields after each."""
    with Interrupt(within, counts) as events:
        act()
    assert events.count > 5
    for number in range(1, events.count + 1, stride):
        yield number
        # Python ignores what comes while it collects garbage.
        with contextlib.suppress(KeyboardInterrupt), Interrupt(within, counts, number):
            act()


@pytest.mark.parametrize(("counts", "stride"), crossed(STRIDES, default=STRIDES[:1]))
def test_all_of_a_step_is_left_or_nothing_and_no_context_open(counts, stride):
    model, there = made(), process()

    def step():
        model.train_on_batch(X, Y)

    step()
    before = Kept(model)
    interrupts = cuts(SharpnessAwareModel.train_step, step, counts, stride)
    next(interrupts)
    after, outcomes = Kept(model), []
    assert before != after
    before.put_back()
    for number in interrupts:
        assert process() == there
        left = Kept(model)
        outcomes.append("nothing" if left == before else "all" if left == after else number)
        before.put_back()
    # JAX has the state of a step once the step has returned.
    assert set(outcomes) == {"nothing", *(["all"] if BACKEND != "jax" else [])}


@pytest.mark.parametrize(("counts", "stride"), crossed(STRIDES, default=STRIDES[:1]))
def test_a_measure_leaves_no_context_open(counts, stride):
    model = made()
    before, there = Kept(model), process()
    for _ in cuts(Averages.of, lambda: ball_loss(model, (X, Y), steps=1), counts, stride):
        assert process() == there
    model.train_on_batch(X, Y)
    assert before != Kept(model)

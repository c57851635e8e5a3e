"""An error or an interrupt leaves a model as it was before the step, and training goes on."""

import os
import signal
import threading

import keras
import numpy as np
import pytest

from keras_zsharp import FriendlySAM, SharpnessAwareModel, sharpness_aware
from tests.backends import networks
from tests.tiers import crossed

BACKEND = keras.backend.backend()
STEPS, BATCH = 4, 8


class Fails(keras.layers.Layer):
    """Raises an error on the host, within the compiled step, in the call that it is told."""

    calls, failing = 0, None

    def call(self, inputs):
        return inputs + 0.0 * keras.ops.stop_gradient(on_the_host(self.counted, inputs))

    @classmethod
    def counted(cls, values):
        cls.calls += 1
        if cls.calls == cls.failing:
            raise FloatingPointError("in a pass")
        return values

    @classmethod
    def fail_at(cls, call):
        cls.calls, cls.failing = 0, call


def on_the_host(function, inputs):
    if BACKEND == "tensorflow":
        import tensorflow as tf

        outputs = tf.numpy_function(function, [inputs], inputs.dtype, stateful=True)
        return tf.ensure_shape(outputs, inputs.shape)
    if BACKEND == "jax":
        import jax

        # It has no derivative.
        inputs = jax.lax.stop_gradient(inputs)
        return jax.pure_callback(function, jax.ShapeDtypeStruct(inputs.shape, "float32"), inputs)
    return function(inputs)


ERROR = r"in a pass|FloatingPointError|CpuCallback"
WAYS = {
    "wrapper": lambda net: SharpnessAwareModel(net, FriendlySAM(rho=0.1)),
    "in place": lambda net: sharpness_aware(net, FriendlySAM(rho=0.1)),
}


def made(way="wrapper", **mode):
    """A model that has taken a step: on each backend it is built, and its program made."""
    Fails.fail_at(None)
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Dense(4, activation="tanh"),
        keras.layers.BatchNormalization(),
        Fails(),
        keras.layers.Dropout(0.5, seed=1),
        keras.layers.Dense(1),
    ]
    model = WAYS[way](keras.Sequential([keras.Input((3,)), *layers]))
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", **mode)
    fit(model, 0, 1)
    return model


def batches(first, last):
    x = np.random.default_rng(0).normal(size=(STEPS + 1, BATCH, 3)).astype("float32")
    x = x[first:last].reshape(-1, 3)
    return x, x[:, :1] * x[:, 1:2]


def fit(model, first, last, **arguments):
    data = batches(first, last)
    model.fit(*data, batch_size=BATCH, shuffle=False, verbose=0, **arguments)


def state(model):
    """What the next step depends on."""
    metrics = {id(v) for metric in model.metrics for v in metric.variables}
    variables = [*model.variables, *model.optimizer.variables]
    return networks.copied(v for v in variables if id(v) not in metrics)


def assert_equal(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


CASES = [
    (way, eagerly, step, shifted)
    for way in WAYS
    for eagerly in (False, True)
    for step in (1, 3)
    for shifted in (False, True)
]
DEFAULT = [("wrapper", False, 1, True), ("in place", False, 3, False), ("wrapper", True, 1, True)]


@pytest.mark.parametrize(("way", "eagerly", "step", "shifted"), crossed(CASES, default=DEFAULT))
def test_an_error_in_a_step_of_fit_leaves_the_model_before_it(way, eagerly, step, shifted):
    """Of the first step of a `fit`, or of a later one; of the clean pass, or of the shifted one."""
    models = [made(way, run_eagerly=eagerly) for _ in range(2)]
    if step > 1:
        fit(models[0], 1, step)
    Fails.fail_at(2 * step - 1 + shifted)
    with pytest.raises(Exception, match=ERROR):
        fit(models[1], 1, STEPS + 1)
    Fails.fail_at(None)
    assert_equal(*map(state, models))
    for model in models:
        fit(model, step, STEPS + 1)
    assert_equal(*map(state, models))


METHODS = {
    "train_on_batch": lambda model, x, y: model.train_on_batch(x, y),
    "test_on_batch": lambda model, x, y: model.test_on_batch(x, y),
    "predict_on_batch": lambda model, x, _: model.predict_on_batch(x),
    "evaluate": lambda model, x, y: model.evaluate(x, y, batch_size=len(x), verbose=0),
    "predict": lambda model, x, _: model.predict(x, batch_size=len(x), verbose=0),
}


@pytest.mark.parametrize("name", crossed(METHODS, default=["train_on_batch", "evaluate"]))
def test_an_error_in_another_method_leaves_the_model(name):
    model, (x, y) = made(), batches(0, 1)
    METHODS[name](model, x, y)
    before = state(model)
    Fails.fail_at(1)
    with pytest.raises(Exception, match=ERROR):
        METHODS[name](model, x, y)
    Fails.fail_at(None)
    assert_equal(state(model), before)
    METHODS[name](model, x, y)


class InAThread(keras.callbacks.Callback):
    """Calls a function in another thread, within an epoch.

    `self.model` would put the weights into the variables.
    """

    def __init__(self, function):
        super().__init__()
        self.function, self.errors = function, []

    def on_train_batch_end(self, batch, logs=None):
        thread = threading.Thread(target=self._call)
        thread.start()
        thread.join()

    def _call(self):
        try:
            self.function()
        except Exception as error:
            self.errors.append(repr(error))


@pytest.mark.skipif(BACKEND != "jax", reason="other backends keep the weights in the variables")
def test_another_thread_cannot_use_a_model_that_trains_and_does_not_disturb_it():
    models = [made() for _ in range(2)]
    fit(models[0], 1, 3)
    watching = InAThread(lambda: models[1].predict(batches(0, 1)[0], verbose=0))
    fit(models[1], 1, 3, callbacks=[watching])
    assert len(watching.errors) == 2
    assert "cannot be used in another thread" in watching.errors[0]
    assert_equal(*map(state, models))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="os.kill ends a process of Windows")
@pytest.mark.parametrize("eagerly", [False, True])
def test_ctrl_c_leaves_a_whole_step_or_none(eagerly):
    """Whenever it comes: the state is that of so many steps."""
    reference = made(run_eagerly=eagerly)
    states = [state(reference)]
    for step in range(1, STEPS + 1):
        fit(reference, step, step + 1)
        states.append(state(reference))
    found = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupted = 0
    try:
        for number in range(40):
            model = made(run_eagerly=eagerly)
            timer = threading.Timer(number * 0.002, os.kill, (os.getpid(), signal.SIGINT))
            try:
                timer.start()
                fit(model, 1, STEPS + 1)
                timer.join()
            except (KeyboardInterrupt, ValueError) as error:
                # XLA turns what a layer's callback raises into an error of its own.
                if "KeyboardInterrupt" not in repr(error):
                    raise
                interrupted += 1
            taken = int(keras.ops.convert_to_numpy(model.optimizer.iterations)) - 1
            assert_equal(state(model), states[taken])
            fit(model, taken + 1, STEPS + 1) if taken < STEPS else None
            assert_equal(state(model), states[-1])
    finally:
        signal.signal(signal.SIGINT, found)
    assert interrupted > 5

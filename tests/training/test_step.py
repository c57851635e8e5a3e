"""The step is what it says."""

import functools
import itertools

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_zsharp import (
    GSAM,
    SAM,
    FriendlySAM,
    SharpnessAwareModel,
    SharpnessAwareTraining,
    ZSharp,
)
from tests.still import still
from tests.tiers import crossed
from tests.training.cases import BACKEND, CASES, MODES, assert_same, in_every_mode, traced


class Quadratic(layers.Layer):
    """`f(w) = (a w²) / 2`, summed: the gradient at w is `a w`."""

    def __init__(self, curvature, start, **kwargs):
        super().__init__(**kwargs)
        self.curvature, self.start = np.float32(curvature), np.float32(start)

    def build(self, input_shape):
        self.w = self.add_weight(
            shape=self.start.shape,
            initializer=lambda shape, dtype=None: ops.cast(self.start, dtype),
        )

    def call(self, inputs):
        return inputs * ops.sum(ops.multiply(self.curvature, ops.square(self.w))) / 2


def quadratic(rule, learning_rate=0.1, *, perturb_every=1, perturb_from=0, micro_batches=1, **mode):
    options = {"perturb_every": perturb_every, "perturb_from": perturb_from, "mean_of_parts": True}
    inputs = keras.Input((1,))
    net = keras.Model(inputs, Quadratic([1.0, 4.0], [3.0, 1.0])(inputs))
    model = SharpnessAwareModel(net, rule, micro_batches=micro_batches, **options)
    model.compile(keras.optimizers.SGD(learning_rate), lambda y, y_pred: y_pred, **mode)
    return model, (np.ones((2, 1), "float32"), np.zeros((2, 1), "float32"))


@in_every_mode
def test_closed_form_on_a_quadratic(mode):
    """w' = w - lr a (w + rho a w / ‖a w‖): the second gradient is that at w + e."""
    model, batch = quadratic(SAM(rho=0.5), **mode)
    logs = model.train_on_batch(*batch, return_dict=True)
    a, w = np.array([1.0, 4.0]), np.array([3.0, 1.0])
    shifted = w + 0.5 * a * w / np.linalg.norm(a * w)
    np.testing.assert_allclose(model.model.trainable_weights[0], w - 0.1 * a * shifted, rtol=1e-6)
    assert logs["loss"] == pytest.approx((a * w**2).sum() / 2)
    assert logs["sharpness"] == pytest.approx((a * (shifted**2 - w**2)).sum() / 2, rel=1e-5)


@in_every_mode
def test_regularizers_count_at_the_shifted_weights(mode):
    """Of the loss `w²` that is nothing else: w' = w - lr 2 (w + rho w / ‖w‖)."""
    start = np.float32([[3], [4]])
    dense = layers.Dense(1, use_bias=False, kernel_regularizer=keras.regularizers.L2(1.0))
    net = keras.Sequential([keras.Input((2,)), dense])
    net.set_weights([start])
    model = SharpnessAwareModel(net, SAM(rho=5.0))
    model.compile(keras.optimizers.SGD(0.1), lambda y, y_pred: 0.0 * y_pred, **mode)
    logs = model.train_on_batch(np.ones((2, 2)), np.ones((2, 1)), return_dict=True)
    np.testing.assert_allclose(net.get_weights()[0], start - 0.1 * 2 * 2 * start, rtol=1e-5)
    assert logs["loss"] == pytest.approx(25)
    assert logs["sharpness"] == pytest.approx(75, rel=1e-5)


@in_every_mode
@pytest.mark.parametrize("micro_batches", [1, 2])
def test_descent_of_gsam_on_a_quadratic(micro_batches, mode):
    """The optimizer is given what the rule makes of both gradients, whatever the loss' scale."""
    a, w = np.array([1.0, 4.0]), np.array([3.0, 1.0])
    p = a * (w + 0.5 * a * w / np.linalg.norm(a * w))
    beside = a * w - p * (a * w @ p) / (p @ p)
    for scale in (None, 2.0**10):
        model, batch = quadratic(GSAM(rho=0.5, alpha=2.0), micro_batches=micro_batches, **mode)
        if scale:
            inner = keras.optimizers.SGD(0.1)
            scaling = keras.optimizers.LossScaleOptimizer(inner, initial_scale=scale)
            model.compile(scaling, lambda y, y_pred: y_pred, **mode)
        model.train_on_batch(*batch)
        expected = w - 0.1 * (p - 2.0 * beside)
        np.testing.assert_allclose(model.model.trainable_weights[0], expected, rtol=1e-5)


LIMITS = {
    "plain": None,
    "rho=0": lambda: SAM(rho=0.0),
    "two passes": still,
    "sam": lambda: SAM(rho=0.1),
    "q_p=0": lambda: ZSharp(rho=0.1, q_p=0.0),
    "q_p=0 per variable": lambda: ZSharp(rho=0.1, q_p=0.0, norm="per_variable"),
    "q_p=1": lambda: ZSharp(rho=0.1, q_p=1.0),
    "sigma=0": lambda: FriendlySAM(rho=0.1, sigma=0.0),
}


@functools.cache
def trained(name, mode):
    """Weights of the network after six steps; without the wrapper for "plain"."""
    case = CASES["sequential"]
    keras.utils.set_random_seed(0)
    net = case.build()
    model = net if name == "plain" else SharpnessAwareModel(net, LIMITS[name]())
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), case.loss, **MODES[mode])
    model.fit(case.x, case.y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    return net.get_weights()


SAME = {
    "q_p=0": "sam",
    "q_p=0 per variable": "sam",
    "sigma=0": "sam",
    "q_p=1": "plain",
    "rho=0": "plain",
    "two passes": "plain",
}


@pytest.mark.parametrize(
    ("name", "mode"),
    crossed(itertools.product(SAME, MODES), default=[(name, "eager") for name in SAME]),
)
def test_limits(name, mode):
    weights, others = trained(name, mode), trained(SAME[name], mode)
    if mode == "eager":
        assert_same(weights, others)
    else:
        for ours, theirs in zip(weights, others, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["rho=0", "q_p=1"])
def test_no_perturbation_equals_plain_fit(name):
    assert_same(trained(name, "eager"), trained("plain", "eager"))


def test_history_holds_the_clean_loss_and_the_sharpness():
    model, (x, y) = quadratic(SAM(rho=0.5), learning_rate=0.0)
    history = model.fit(x, y, epochs=2, verbose=0, validation_data=(x, y)).history
    assert sorted(history) == ["loss", "sharpness", "val_loss"]
    assert history["loss"] == history["val_loss"] == [6.5, 6.5]
    assert history["sharpness"][0] == history["sharpness"][1] > 0
    assert model.evaluate(x, y, return_dict=True, verbose=0) == {"loss": 6.5}
    assert model.test_on_batch(x, y) == 6.5


@in_every_mode
def test_losses_of_single_outputs_add_up_to_the_total(mode):
    """Over several batches: their trackers are created in the first pass of the first step."""
    case = CASES["two_outputs"]
    model = SharpnessAwareModel(case.build(), SAM(rho=1.0))
    model.compile("sgd", case.loss, case.loss_weights, **mode)
    logs = model.fit(case.x, case.y, batch_size=4, epochs=2, verbose=0).history
    total = np.array(logs["kind_loss"]) + 0.3 * np.array(logs["size_loss"])
    np.testing.assert_allclose(logs["loss"], total, rtol=1e-5)


def test_metrics_are_those_of_the_clean_pass():
    """At w every prediction is right; at w + e the sign has turned."""
    net = keras.Sequential(
        [keras.Input((1,)), layers.Dense(1, use_bias=False, kernel_initializer="ones")]
    )
    model = SharpnessAwareModel(net, SAM(rho=3.0))
    model.compile(keras.optimizers.SGD(0.0), lambda y, y_pred: -y * y_pred, metrics=["mse"])
    one = np.ones((1, 1), "float32")
    assert model.train_on_batch(one, one, return_dict=True)["mse"] == 0


def test_mixed_precision_scales_both_passes_and_the_rule_sees_no_scale():
    """The scale of 2¹⁰ must show neither in the average nor in the update."""
    case = CASES["dict_inputs"]
    averages, weights = [], []
    for policy in ("float32", "mixed_float16"):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(policy)
        try:
            net = case.build()
        finally:
            keras.config.set_dtype_policy("float32")
        model = SharpnessAwareModel(net, FriendlySAM(rho=0.1))
        optimizer = keras.optimizers.SGD(0.1)
        if policy == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=2.0**10)
        model.compile(optimizer, case.loss)
        model.train_on_batch(case.x, case.y)
        averages.append([ops.convert_to_numpy(a) for a in model.rule.averages])
        weights.append(net.get_weights())
    for pair in (averages, weights):
        for full, half in zip(*pair, strict=True):
            np.testing.assert_allclose(half, full, rtol=0.05, atol=5e-3)


def test_mixin_trains_as_the_wrapper_does():
    case = CASES["subclassed"]

    class Net(SharpnessAwareTraining, type(case.build())):
        pass

    losses = []
    for make in (lambda: Net(rule="sam"), lambda: SharpnessAwareModel(case.build(), "sam")):
        keras.utils.set_random_seed(0)
        model = make()
        model.compile("adamw", case.loss, run_eagerly=True)
        losses.append(model.fit(case.x, case.y, batch_size=4, shuffle=False, verbose=0).history)
    assert losses[0] == losses[1]


@traced
def test_rho_can_be_set_and_scheduled_while_training():
    """Sharpness of the quadratic grows with rho; the graph is not traced anew."""
    model, (x, y) = quadratic(SAM(rho=0.1), learning_rate=0.0)
    seen, traces = [], []
    model.compile(keras.optimizers.SGD(0.0), lambda y, y_pred: traces.append(1) or y_pred)

    class Grow(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(logs["sharpness"])
            self.model.rule.rho *= 2

    model.fit(x, y, callbacks=[Grow()], verbose=0)
    del traces[:]
    model.fit(x, y, epochs=2, callbacks=[Grow()], verbose=0)
    assert not traces
    assert model.rule.rho == 0.8
    doubling = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 2.0)
    model, _ = quadratic(SAM(rho=doubling), learning_rate=0.0)
    scheduled = model.fit(x, y, epochs=3, verbose=0).history["sharpness"]
    np.testing.assert_allclose(seen, scheduled, rtol=1e-5)
    assert seen[0] < seen[1] < seen[2]
    assert model.rule.rho == 0.8


@pytest.mark.skipif(BACKEND == "torch", reason="Keras refuses it on PyTorch")
def test_steps_per_execution_and_partial_batches():
    case = CASES["sequential"]
    losses = []
    for steps in (1, 3):
        keras.utils.set_random_seed(0)
        model = SharpnessAwareModel(case.build(), "zsharp")
        model.compile("adamw", case.loss, steps_per_execution=steps)
        history = model.fit(
            case.x, case.y, batch_size=5, epochs=2, shuffle=False, verbose=0
        ).history
        losses.append(history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


@traced
@pytest.mark.parametrize(
    "name", crossed(["sequential", "unbuilt_sequential", "subclassed"], default=["subclassed"])
)
def test_step_is_traced_once(name):
    """Whatever variables it finds missing: TensorFlow would trace it again."""
    case, traces = CASES[name], []
    model = SharpnessAwareModel(case.build(), "friendly_sam")
    step = model.train_step
    model.train_step = lambda *args: traces.append(1) or step(*args)
    model.compile("adamw", case.loss, metrics=["accuracy"])
    for _ in range(2):
        model.fit(case.x, case.y, batch_size=4, verbose=0)
    assert len(traces) == 1

"""Sharpness measures, their monitor and `AscentFrom`, on whatever backend Keras runs."""

import keras
import numpy as np
import pytest

from keras_zsharp import SAM, SharpnessAwareModel
from keras_zsharp.analysis import AscentFrom
from keras_zsharp.callbacks import SharpnessMonitor
from keras_zsharp.flatness import MeanLoss, ball_loss, hessian_trace, loss_landscape
from tests.backends import networks

pytestmark = pytest.mark.matrix
BACKEND = keras.backend.backend()
EXAMPLES = 40
MODES = {"default": {}, "eager": {"run_eagerly": True}}


def measured(model=None, **mode):
    """A compiled model, and its mean loss over batches of two sizes."""
    model = networks.compiled(model or networks.network(dropout=0.5), **mode)
    return model, MeanLoss(model, networks.data(EXAMPLES), batch_size=25)


def direction(size):
    vector = np.random.default_rng(0).normal(size=size)
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("mode", MODES)
def test_loss_is_what_evaluate_says_of_shifted_weights(mode):
    model, mean = measured(**MODES[mode])
    shift = 0.3 * direction(mean.size)
    found = mean.loss(shift), mean.gradient(shift)[0]
    for variable, change in zip(model.trainable_variables, mean.shaped(shift), strict=True):
        variable.assign(variable + keras.ops.cast(change, variable.dtype))
    expected = model.evaluate(*networks.data(EXAMPLES), batch_size=25, verbose=0)
    np.testing.assert_allclose(found, [expected] * 2, rtol=1e-5)


def test_derivatives_are_those_of_finite_differences():
    _, mean = measured()
    v = direction(mean.size)
    slope = (mean.loss(0.01 * v) - mean.loss(-0.01 * v)) / 0.02
    assert mean.gradient(0 * v)[1] @ v == pytest.approx(slope, rel=5e-3)
    changes = (mean.gradient(0.01 * v)[1] - mean.gradient(-0.01 * v)[1]) / 0.02
    np.testing.assert_allclose(mean.product(v), changes, atol=5e-3 * np.linalg.norm(changes))


def test_weights_without_influence_have_no_derivative():
    class Unused(keras.layers.Layer):
        def build(self, input_shape):
            self.unused = self.add_weight(shape=(3,))

        def call(self, inputs):
            return inputs

    _, mean = measured(networks.network(Unused()))
    where = [w.shape == (3,) for w in mean.variables].index(True)
    v = direction(mean.size)
    for found in (mean.gradient(0 * v)[1], mean.product(v)):
        np.testing.assert_array_equal(mean.shaped(found)[where], 0)


@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: SharpnessAwareModel(net, "sam")])
def test_nothing_of_the_model_changes(wrap):
    model = networks.compiled(wrap(networks.network(dropout=0.5)), metrics=["accuracy"])
    networks.trained(model, examples=96)
    before = networks.state(model)
    mean = MeanLoss(model, networks.data(EXAMPLES))
    ball_loss(model, mean, steps=2, random=1)
    hessian_trace(model, mean, samples=1)
    loss_landscape(model, mean, points=2)
    for one, other in zip(networks.state(model), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_monitor_follows_the_weights_and_leaves_training_alone():
    ends, logs = [], []
    for callbacks in ([], [SharpnessMonitor(networks.data(EXAMPLES), {"ball": {}, "trace": {}})]):
        keras.utils.set_random_seed(0)
        model = networks.compiled(SharpnessAwareModel(networks.network(dropout=0.5), "zsharp"))
        logs.append(networks.trained(model, epochs=2, examples=96, callbacks=callbacks))
        ends.append(networks.state(model))
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)
    found = ball_loss(model, networks.data(EXAMPLES)).ball_loss
    assert logs[1]["ball_loss"][1] == pytest.approx(found, rel=1e-5)
    assert logs[1]["ball_loss"][1] != logs[1]["ball_loss"][0]


def test_a_scaled_loss_overflows_nothing():
    traces = []
    for policy in ("float32", "mixed_float16"):
        keras.config.set_dtype_policy(policy)
        try:
            model, mean = measured(networks.network())
        finally:
            keras.config.set_dtype_policy("float32")
        traces.append(hessian_trace(model, mean, samples=3).mean)
    assert traces[1] == pytest.approx(traces[0], rel=0.05)


@pytest.mark.skipif(BACKEND != "torch", reason="torch")
def test_central_differences_where_there_is_no_second_derivative():
    import torch

    class Once(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x.clone()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(context, gradient):
            return gradient

    class Layer(keras.layers.Layer):
        def call(self, inputs):
            return Once.apply(inputs)

        def compute_output_spec(self, inputs):
            return keras.KerasTensor(inputs.shape, inputs.dtype)

    _, plain = measured(networks.network())
    _, mean = measured(networks.network(Layer()))
    v = direction(mean.size)
    with pytest.warns(RuntimeWarning, match="central differences: .*differentiate twice"):
        found = mean.product(v)
    np.testing.assert_allclose(found, plain.product(v), atol=5e-3 * np.linalg.norm(found))


@pytest.mark.skipif(BACKEND != "torch", reason="torch")
def test_a_module_of_pytorch_is_refused():
    import torch

    net = keras.Sequential(
        [keras.Input((64,)), keras.layers.TorchModuleWrapper(torch.nn.Linear(64, 10))]
    )
    x, y = networks.data(EXAMPLES)
    with pytest.raises(ValueError, match="must read its weights as Keras variables"):
        ball_loss(networks.compiled(net), (x.reshape(-1, 64), y))


class Curvatures(keras.layers.Layer):
    """`f(w; a) = a · w² / 2`: example a has the gradient `a w` and a Hessian of its own."""

    def build(self, input_shape):
        self.w = self.add_weight(shape=(3,), initializer="zeros")
        self.w.assign(START)

    def call(self, inputs):
        return keras.ops.sum(inputs * keras.ops.square(self.w), axis=-1, keepdims=True) / 2


START, RHO, RATE = np.array([1.0, -2.0, 3.0]), 0.5, 0.125
A = np.random.default_rng(0).uniform(0.5, 2.0, size=(5, 3)).astype("float32")
NOTHING = np.zeros((5, 1), "float32")


def curved(component, **options):
    inputs = keras.Input((3,))
    net = keras.Model(inputs, Curvatures()(inputs))
    arguments = {"ascent_data": (A, NOTHING), "component": component, "batch_size": 2}
    model = AscentFrom(net, SAM(rho=RHO), **arguments, **options)
    model.compile(keras.optimizers.SGD(RATE), lambda y, y_pred: y_pred)
    return model


def weights_of(model):
    [weights] = networks.copied(model.model.trainable_weights)
    return weights.astype("float64")


def expected_step(w, batch, chosen):
    """`w - lr a (w + rho c / ‖c‖)` of a batch's mean curvature a."""
    return w - RATE * batch.mean(axis=0) * (w + RHO * chosen / np.linalg.norm(chosen))


@pytest.mark.parametrize("component", ["full", "noise"])
def test_ascent_along_a_part_of_the_gradient(component):
    model, w = curved(component, perturb_every=2), START
    for step, batch in enumerate((A[:2], A[2:4], A[:2])):
        model.train_on_batch(batch, NOTHING[:2])
        g, full = batch.mean(axis=0) * w, A.mean(axis=0) * w
        along = (g @ full) / (full @ full) * full
        chosen = along if component == "full" else g - along
        plain = w - RATE * g
        w = plain if step == 1 else expected_step(w, batch, chosen)
        np.testing.assert_allclose(weights_of(model), w, rtol=1e-5)


def test_ascent_from_another_batch():
    """Of one example each, all of them once a round, in an order of the seed's."""

    def perturbed_by():
        keras.utils.set_random_seed(3)
        model, w, found = curved("batch", micro_batches=1), START, []
        model._source = type(model._source)((A, NOTHING), 1, drawn=True)
        for _ in A:
            model.train_on_batch(A[1:2], NOTHING[:1])
            ends = [expected_step(w, A[1:2], a * w) for a in A]
            w = weights_of(model)
            found.append(int(np.argmin([np.abs(end - w).sum() for end in ends])))
            np.testing.assert_allclose(w, ends[found[-1]], rtol=1e-5)
        return found

    found = perturbed_by()
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert found == perturbed_by()


@pytest.mark.parametrize("seed", [1, None])
def test_ascent_from_the_batch_itself_is_that_of_sam(seed):
    """With the same dropout, and nothing left behind."""
    x, y = networks.data(networks.BATCH)
    models = []
    for make in (
        lambda net: SharpnessAwareModel(net, SAM(rho=0.1)),
        lambda net: AscentFrom(net, SAM(rho=0.1), ascent_data=(x, y), batch_size=networks.BATCH),
    ):
        keras.utils.set_random_seed(0)
        model = make(networks.network(keras.layers.Dropout(0.5, seed=seed)))
        networks.compiled(model, metrics=["accuracy"])
        networks.trained(model, epochs=2, examples=networks.BATCH)
        models.append(networks.copied([*model.model.variables, *model.optimizer.variables]))
    for sam, ours in zip(*models, strict=True):
        np.testing.assert_allclose(ours, sam, rtol=1e-4, atol=1e-6)

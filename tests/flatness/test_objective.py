"""The mean loss, its gradient and its Hessian are right, and the model stays as it is."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_zsharp import SharpnessAwareModel
from keras_zsharp.flatness import (
    MeanLoss,
    ball_loss,
    hessian_spectrum,
    hessian_trace,
    loss_landscape,
)
from tests.tiers import crossed
from tests.training.cases import CASES, assert_same, normal


def compiled(name, wrap=None, metrics=None, **mode):
    """A case's model, compiled, and its data."""
    case = CASES[name]
    model = case.build() if wrap is None else wrap(case.build())
    model.compile("adamw", case.loss, case.loss_weights, weighted_metrics=metrics, **mode)
    weight = case.fit.get("sample_weight")
    data = (case.x, case.y) if weight is None else (case.x, case.y, weight)
    return model, data


def direction(size, length=1.0):
    vector = np.random.default_rng(0).normal(size=size)
    return vector * (length / np.linalg.norm(vector))


@pytest.mark.parametrize(
    "name",
    crossed(
        ["sequential", "regularized", "add_loss", "two_outputs", "list_inputs", "sample_weight"],
        default=["sequential", "add_loss", "two_outputs", "sample_weight"],
    ),
)
def test_loss_is_what_evaluate_says_of_shifted_weights(name):
    """Regularizers and `add_loss` at w + e, dropout off, of uneven batches the mean."""
    model, data = compiled(name)
    mean = MeanLoss(model, data, batch_size=5)
    shift = direction(mean.size, length=3.0)
    found = [mean.loss(0 * shift), mean.loss(shift), mean.gradient(shift)[0]]
    expected = []
    for part in (0 * shift, shift):
        for variable, change in zip(model.trainable_variables, mean.shaped(part), strict=True):
            variable.assign_add(change)
        logs = model.evaluate(*data[:2], 5, 0, *data[2:], return_dict=True)
        expected.append(logs["loss"])
    np.testing.assert_allclose(found, [*expected, expected[1]], rtol=1e-4)
    assert abs(found[1] - found[0]) > 0.01


@pytest.mark.parametrize(
    "name",
    crossed(
        ["sequential", "unused_head", "two_outputs", "attention", "embedding_lstm", "custom_cell"],
        default=["sequential", "unused_head"],
    ),
)
def test_derivatives_are_those_of_finite_differences(name):
    model, data = compiled(name)
    mean = MeanLoss(model, data, batch_size=5)
    v, w = direction(mean.size), np.zeros(mean.size)
    _, gradient = mean.gradient(w)
    slope = (mean.loss(0.01 * v) - mean.loss(-0.01 * v)) / 0.02
    assert gradient @ v == pytest.approx(slope, rel=5e-3, abs=5e-4)
    changes = (mean.gradient(0.01 * v)[1] - mean.gradient(-0.01 * v)[1]) / 0.02
    product = mean.product(v)
    assert np.linalg.norm(changes) > 0.01
    np.testing.assert_allclose(product, changes, atol=5e-3 * np.linalg.norm(changes))


def test_batches_do_not_matter():
    model, data = compiled("unbuilt_sequential")
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(7)
    means = [MeanLoss(model, data, size) for size in (12, 5)] + [MeanLoss(model, dataset)]
    v = direction(means[0].size)
    found = [np.hstack([*mean.gradient(v), mean.product(v)]) for mean in means]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-4, atol=1e-5)
    assert means[0].loss(v) == pytest.approx(found[0][0], rel=1e-6)
    part = MeanLoss(model, tf.data.Dataset.from_tensor_slices(data).batch(4).repeat(), batches=2)
    start = MeanLoss(model, (data[0][:8], data[1][:8]))
    assert part.loss(v) == pytest.approx(start.loss(v), rel=1e-5) != pytest.approx(means[0].loss(v))


def wrapped(net):
    return SharpnessAwareModel(net, "zsharp")


@pytest.mark.parametrize(("wrap", "eager"), [(None, False), (wrapped, True)])
def test_nothing_of_the_model_changes(wrap, eager):
    model, data = compiled("sequential", wrap, metrics=["accuracy"], run_eagerly=eager)
    model.fit(*data, batch_size=4, verbose=0)
    variables = [*model.variables, *model.optimizer.variables]
    variables += [v for metric in model.metrics for v in metric.variables]
    before = [v.numpy() for v in variables]
    assert any("seed" in v.path for v in variables)
    assert any("moving_mean" in v.path for v in variables)
    mean = MeanLoss(model, data, batch_size=5)
    ball_loss(model, mean, steps=2, random=1)
    hessian_trace(model, mean, samples=1)
    loss_landscape(model, mean, points=2)
    assert_same([v.numpy() for v in variables], before)
    assert len(before) == len(
        [*model.variables, *model.optimizer.variables]
        + [v for metric in model.metrics for v in metric.variables]
    )


def test_wrapped_models_and_eager_ones_measure_the_same():
    found = []
    for wrap, mode in ((None, {}), (wrapped, {}), (None, {"run_eagerly": True})):
        keras.utils.set_random_seed(0)
        model, data = compiled("sequential", wrap, **mode)
        mean = MeanLoss(model, data)
        trace = hessian_trace(model, mean, samples=2)
        found.append([*ball_loss(model, mean, rho=0.5, random=2), *trace])
    np.testing.assert_allclose(found[1:], [found[0]] * 2, rtol=1e-4)


def test_each_function_is_traced_once_and_follows_the_weights():
    traces = []
    model = keras.Sequential([keras.Input((5,)), layers.Dense(1)])
    model.compile("sgd", lambda y, y_pred: traces.append(1) or keras.ops.square(y - y_pred))
    data = normal(5), normal(1)
    mean = MeanLoss(model, data, batch_size=5)
    ball_loss(model, mean, steps=1)
    loss_landscape(model, mean, points=2)
    hessian_trace(model, mean, samples=1)
    del traces[:]
    before = ball_loss(model, mean, steps=4, random=3)
    hessian_spectrum(model, mean)
    assert not traces
    model.set_weights([2 * w for w in model.get_weights()])
    after = ball_loss(model, mean)
    assert after.loss == pytest.approx(model.evaluate(*data, verbose=0), rel=1e-5) != before.loss
    # One trace of either function, not of every batch or step.
    ball_loss(model, data, steps=4, batch_size=5)
    assert len(traces) <= 4


def test_mixed_precision():
    """With a loss scale of 2¹⁵, which overflows where gradients are differentiated again."""
    found = []
    for policy in ("float32", "mixed_float16", "mixed_bfloat16"):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(policy)
        try:
            model, data = compiled("sequential")
        finally:
            keras.config.set_dtype_policy("float32")
        mean = MeanLoss(model, data)
        trace = hessian_trace(model, mean, samples=3)
        found.append([*ball_loss(model, mean, rho=0.5, random=1), *trace])
    np.testing.assert_allclose(found[1:], [found[0]] * 2, rtol=0.02)


def test_small_gradients_do_not_vanish_in_float16():
    """A loss of 1e-8: unscaled, its gradients of float16 are zero."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = keras.Sequential([keras.Input((5,)), layers.Dense(4), layers.Dense(1)])
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("sgd", lambda y, y_pred: 1e-8 * keras.ops.square(y - y_pred))
    found = ball_loss(model, (normal(5), normal(1)), rho=0.5)
    assert found.sharpness > 0.3 * found.loss


def test_central_differences_where_there_is_no_second_derivative():
    class Normalize(layers.Layer):
        def call(self, inputs):
            return tf.nn.local_response_normalization(inputs, alpha=0.0, bias=1.0)

    values = []
    for middle in (Normalize(), layers.Identity()):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((4, 4, 1)), layers.Conv2D(3, 3), middle, layers.Flatten(), layers.Dense(1)]
        )
        model.compile("sgd", "mse")
        values.append(MeanLoss(model, (normal(4, 4, 1), normal(1))))
    v = direction(values[0].size)
    with pytest.warns(RuntimeWarning, match=r"central differences: .*LRNGrad"):
        found = values[0].product(3 * v)
    np.testing.assert_allclose(found, values[1].product(3 * v), atol=2e-3 * np.linalg.norm(found))


def test_infinite_losses():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, layers.Dense(1, kernel_initializer="zeros", use_bias=False)(inputs))
    model.compile("sgd", lambda y, y_pred: keras.ops.log(y_pred))
    data = np.ones((3, 2)), np.zeros((3, 1))
    assert ball_loss(model, data).loss == -np.inf
    with pytest.raises(FloatingPointError, match="The Hessian is not finite"):
        hessian_trace(model, data)


def test_unbuilt_models_are_built():
    for name in ("unbuilt_sequential", "subclassed"):
        model, data = compiled(name)
        assert ball_loss(model, data).loss == pytest.approx(
            model.evaluate(*data, verbose=0), rel=1e-5
        )


def test_layer_that_reads_weights_around_the_scope_is_refused():
    class Own(layers.Dense):
        def build(self, input_shape):
            super().build(input_shape)
            self.apply = tf.function(lambda x: x @ self.kernel)
            self.apply(tf.ones((1, input_shape[-1])))

        def call(self, inputs):
            return self.apply(inputs)

    model = keras.Sequential([keras.Input((5,)), Own(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    with pytest.raises(ValueError, match=r"must not be a `tf.function` of its own"):
        ball_loss(model, (normal(5), normal(1)))


def dense(loss="mse"):
    model = keras.Sequential([keras.Input((5,)), layers.Dense(1)])
    if loss:
        model.compile("sgd", loss)
    return model


X, Y = normal(5), normal(1)
DATASET = tf.data.Dataset.from_tensor_slices((X, Y))
MISTAKES = {
    "`model` must be a keras.Model. Received: model=3": lambda: ball_loss(3, (X, Y)),
    "`model` must be compiled with a loss. Received": lambda: ball_loss(dense(None), (X, Y)),
    "`data` must be a tf.data.Dataset": lambda: ball_loss(dense(), [X, Y]),
    "`data` must be batched": lambda: ball_loss(dense(), DATASET.map(lambda x, y: (x, y[0]))),
    "`data` must hold arrays with one entry per example": lambda: ball_loss(dense(), (X, Y[:3])),
    "`data` must hold at least one example": lambda: ball_loss(dense(), (X[:0], Y[:0])),
    "`data` must be finite: give `batches`": lambda: ball_loss(dense(), DATASET.batch(4).repeat()),
    "`data` must be a MeanLoss of `model`": lambda: ball_loss(dense(), MeanLoss(dense(), (X, Y))),
    "`batch_size` must be an int >= 1. Received: batch_size=0": lambda: ball_loss(
        dense(), (X, Y), batch_size=0
    ),
    "`batches` must be an int >= 1. Received: batches=0": lambda: ball_loss(
        dense(), (X, Y), batches=0
    ),
    "`rho` must be >= 0. Received: rho=-1.0": lambda: ball_loss(dense(), (X, Y), rho=-1),
    "`steps` must be an int >= 0. Received: steps=-1": lambda: ball_loss(dense(), (X, Y), steps=-1),
    "`random` must be an int. Received: random=0.5 of type": lambda: ball_loss(
        dense(), (X, Y), random=0.5
    ),
    "`k` must be an int >= 1. Received: k=0": lambda: hessian_spectrum(dense(), (X, Y), k=0),
    "`which` must be 'LA', 'SA' or 'LM'. Received: which='SM'": lambda: hessian_spectrum(
        dense(), (X, Y), which="SM"
    ),
    "`tol` must be > 0. Received: tol=0.0": lambda: hessian_spectrum(dense(), (X, Y), tol=0),
    "`samples` must be an int >= 1. Received: samples=0": lambda: hessian_trace(
        dense(), (X, Y), samples=0
    ),
    "`extent` must be > 0. Received: extent=0.0": lambda: loss_landscape(dense(), (X, Y), 0),
    "`points` must be an int >= 2. Received: points=1": lambda: loss_landscape(
        dense(), (X, Y), points=1
    ),
    "`directions` must be two lists of arrays of the shapes": lambda: loss_landscape(
        dense(), (X, Y), directions=([X], [Y])
    ),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes(message):
    with pytest.raises((TypeError, ValueError), match="^" + re.escape(message)):
        MISTAKES[message]()


def test_frozen_models_have_nothing_to_measure():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(1, trainable=False)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="`model` must have trainable weights"):
        ball_loss(model, (X, Y))


def test_progress_is_shown_where_it_is_asked_for(capsys):
    model = dense()
    for measure in (ball_loss, hessian_spectrum, hessian_trace):
        measure(model, (X, Y))
        assert not capsys.readouterr().out
        measure(model, (X, Y), verbose=1)
        assert capsys.readouterr().out.strip()

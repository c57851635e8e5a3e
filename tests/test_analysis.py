"""SAM-full, SAM-noise and SAM-db: the equations, and what the extra pass must leave alone."""

import itertools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from keras_zsharp import SAM, FriendlySAM, SharpnessAwareModel
from keras_zsharp.analysis import AscentFrom
from keras_zsharp.flatness.objective import MeanLoss
from keras_zsharp.rules.operators import projection
from tests.tiers import crossed
from tests.training.cases import CASES, MODES, OUTSIDE_XLA, SPARSE, Case, assert_same, tokens

EVERY, EITHER = ("full", "noise", "batch"), ("full", "batch")
in_both_modes = pytest.mark.parametrize("mode", OUTSIDE_XLA)


class Curvatures(layers.Layer):
    """`f(w; a) = a · w² / 2`: example a has the gradient `a w` and a Hessian of its own."""

    def build(self, input_shape):
        self.w = self.add_weight(
            shape=(3,), initializer=lambda shape, dtype=None: ops.cast(START, dtype)
        )

    def call(self, inputs):
        return ops.sum(inputs * ops.square(self.w), axis=-1, keepdims=True) / 2


START, RHO, RATE = np.array([1.0, -2.0, 3.0]), 0.5, 0.125
A = np.random.default_rng(0).uniform(0.5, 2.0, size=(5, 3)).astype("float32")
NOTHING = np.zeros((5, 1), "float32")


def curved(component, ascent_data=(A, NOTHING), mode="eager", **kwargs):
    """The model and the `ascent_data` of five examples, in batches of two, two and one."""
    inputs = keras.Input((3,))
    net = keras.Model(inputs, Curvatures()(inputs))
    arguments = {"ascent_data": ascent_data, "component": component, "batch_size": 2, **kwargs}
    model = AscentFrom(net, SAM(rho=RHO), **arguments)
    model.compile(keras.optimizers.SGD(RATE), lambda y, y_pred: y_pred, **MODES[mode])
    return model


def weights_of(model):
    return model.model.trainable_weights[0].numpy().astype("float64")


def expected_step(w, batch, chosen):
    """`w - lr a (w + rho c / ‖c‖)` of a batch's mean curvature a."""
    return w - RATE * batch.mean(axis=0) * (w + RHO * chosen / np.linalg.norm(chosen))


@in_both_modes
@pytest.mark.parametrize("component", ["full", "noise"])
def test_projection_of_the_batch_on_the_full_gradient(component, mode):
    """Two steps on batches of two: the full gradient is that at the weights of each step."""
    model, w = curved(component, mode=mode), START
    for batch in (A[:2], A[2:4]):
        model.train_on_batch(batch, NOTHING[:2])
        g, full = batch.mean(axis=0) * w, A.mean(axis=0) * w
        along = (g @ full) / (full @ full) * full
        w = expected_step(w, batch, along if component == "full" else g - along)
        np.testing.assert_allclose(weights_of(model), w, rtol=1e-5)


def test_full_component_turns_with_the_sign():
    """A batch whose gradient points away from the full one, and the length of e."""
    model, batch = curved("full"), -A[:1]
    model.train_on_batch(batch, NOTHING[:1])
    full = A.mean(axis=0) * START
    np.testing.assert_allclose(weights_of(model), expected_step(START, batch, -full), rtol=1e-5)
    e = (START - weights_of(model)) / RATE / batch[0] - START
    np.testing.assert_allclose(np.linalg.norm(e), RHO, rtol=1e-5)


@in_both_modes
def test_another_batch_in_turn(mode):
    """Of three batches, after which the first comes again; the descent is the batch's own."""
    data = tf.data.Dataset.from_tensor_slices((A, NOTHING)).batch(2)
    model, w = curved("batch", data, mode), START
    for other in (A[:2], A[2:4], A[4:], A[:2]):
        model.train_on_batch(A[1:2], NOTHING[:1])
        w = expected_step(w, A[1:2], other.mean(axis=0) * w)
        np.testing.assert_allclose(weights_of(model), w, rtol=1e-5)


def test_another_batch_is_drawn_at_random():
    """Each example once a round: the perturbations differ, and depend on nothing but the seed."""

    def drawn():
        keras.utils.set_random_seed(1)
        model, gradients = curved("batch", batch_size=1), []
        variables = model.trainable_variables
        for _ in range(10):
            [gradient] = model.ascent_gradients([variables[0].value], variables)
            gradients.append(gradient.numpy())
        return np.array(gradients)

    gradients = drawn()
    np.testing.assert_array_equal(gradients, drawn())
    for epoch in (gradients[:5], gradients[5:]):
        rows = [np.abs(gradients - a * START).sum(axis=1).argmin() for a in A]
        np.testing.assert_allclose(gradients[rows], A * START, rtol=1e-6)
        assert len({*map(tuple, epoch)}) == 5
    assert not np.array_equal(gradients[:5], gradients[5:])
    assert not np.array_equal(gradients[:5], A * START)


@pytest.mark.parametrize("component", ["full", "noise"])
def test_parts_of_a_batch_and_plain_steps(component):
    """With micro-batches each part has its own projection; plain steps have none."""
    model = curved(component, mode="graph", micro_batches=2, perturb_every=2, mean_of_parts=True)
    model.train_on_batch(A[:2], NOTHING[:2])
    full, steps = A.mean(axis=0) * START, []
    for part in (A[:1], A[1:2]):
        g = part[0] * START
        along = (g @ full) / (full @ full) * full
        steps.append(expected_step(START, part, along if component == "full" else g - along))
    w = np.mean(steps, axis=0)
    np.testing.assert_allclose(weights_of(model), w, rtol=1e-5)
    model.train_on_batch(A[:2], NOTHING[:2])
    w = w - RATE * A[:2].mean(axis=0) * w
    np.testing.assert_allclose(weights_of(model), w, rtol=1e-5)


def test_plain_steps_draw_no_batch():
    data = tf.data.Dataset.from_tensor_slices((A, NOTHING)).batch(1)
    model, w = curved("batch", data, "graph", perturb_every=2), START
    for other in (A[0], None, A[1]):
        model.train_on_batch(A[3:4], NOTHING[:1])
        plain = w - RATE * A[3] * w
        w = plain if other is None else expected_step(w, A[3:4], other * w)
        np.testing.assert_allclose(weights_of(model), w, rtol=1e-5)


def embedding():
    inputs = keras.Input((7,), dtype="int32")
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.Embedding(11, 4)(inputs))))


NETWORKS = {
    **{name: CASES[name] for name in ("regularized", "dict_inputs", "unused_head", "add_loss")},
    "two_outputs": CASES["two_outputs"],
    "embedding": Case(embedding, tokens(11, 7), np.arange(12) % 3, SPARSE),
}


def first(data, count):
    return keras.tree.map_structure(lambda array: array[:count], data)


class Recording(AscentFrom):
    """Keeps what a step finds, and what it makes of it, where a skipped step undoes nothing."""

    seen = ()

    def ascent_gradients(self, gradients, variables):
        chosen = super().ascent_gradients(gradients, variables)
        Recording.seen = [flat(gradients, variables), flat(chosen, variables)]
        return chosen


def flat(tensors, variables):
    pairs = zip(tensors, variables, strict=True)
    parts = [np.zeros(v.shape) if t is None else t.numpy() for t, v in pairs]
    return np.concatenate([part.astype("float64").ravel() for part in parts])


def recorded(net, case, component, data=None, scale=None, **kwargs):
    """The model after a step of rate 0 on four examples, and what it saw."""
    arguments = {"ascent_data": data or (case.x, case.y), "batch_size": 5, **kwargs}
    model = Recording(net, SAM(rho=0.1), component=component, **arguments)
    optimizer = keras.optimizers.SGD(0.0)
    if scale:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale)
    model.compile(optimizer, case.loss, case.loss_weights, run_eagerly=True)
    model.train_on_batch(first(case.x, 4), first(case.y, 4))
    return model, *Recording.seen


@pytest.mark.parametrize("scale", [None, 2.0**10])
@pytest.mark.parametrize("name", NETWORKS)
def test_parts_add_up_and_are_orthogonal(name, scale):
    """The full gradient is that of `MeanLoss`, whatever the loss' scale and the batches' sizes."""
    case = NETWORKS[name]
    net = case.build()
    model, g, along = recorded(net, case, "full", scale=scale)
    _, _, noise = recorded(net, case, "noise", scale=scale)
    objective = MeanLoss(model, (case.x, case.y))
    _, full = objective.gradient(np.zeros(objective.size))
    np.testing.assert_allclose(along, (g @ full) / (full @ full) * full, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(along + noise, g, rtol=1e-5, atol=1e-6)
    assert abs(along @ noise) < 1e-5 * np.linalg.norm(along) * np.linalg.norm(noise)
    assert np.linalg.norm(noise) > 0.01 * np.linalg.norm(g)


DICTS = CASES["dict_inputs"]
BATCHES_OF_DICTS = tf.data.Dataset.from_tensor_slices((DICTS.x, DICTS.y)).batch(5)


@pytest.fixture(scope="module")
def half():
    """The same network in float32 and in mixed precision."""
    nets = {}
    for policy in ("float32", "mixed_float16"):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(policy)
        try:
            nets[policy] = DICTS.build()
        finally:
            keras.config.set_dtype_policy("float32")
    return nets


@pytest.mark.parametrize("component", ["full", "noise", "batch"])
def test_mixed_precision(half, component):
    """The gradient of other data is as unscaled as the batch's, in float16 too."""
    data = BATCHES_OF_DICTS
    _, *full = recorded(half["float32"], DICTS, component, data)
    _, *ours = recorded(half["mixed_float16"], DICTS, component, data, scale=2.0**10)
    np.testing.assert_allclose(ours, full, rtol=0.05, atol=0.02)


def test_overflow_in_other_data_skips_the_step(half):
    large = keras.tree.map_structure(lambda x: 1e5 * x, DICTS.x)
    model, *_ = recorded(half["mixed_float16"], DICTS, "full", (large, DICTS.y), scale=2.0**10)
    assert model.optimizer.iterations == 0
    assert model.optimizer.dynamic_scale == 2.0**9


def test_projection_on_nothing_is_nothing():
    g, zeros = [np.ones(3, "float32"), None], [np.zeros(3, "float32"), None]
    [along, nothing] = projection(g, zeros)
    np.testing.assert_array_equal(along, np.zeros(3))
    assert nothing is None
    [along, _] = projection(g, [np.float32([1e-25, 0, 0]), None])
    np.testing.assert_array_equal(along, np.zeros(3))
    [along, _] = projection(g, [np.float32([1e-15, 0, 0]), None])
    np.testing.assert_allclose(along, [1, 0, 0])


@pytest.mark.parametrize(
    ("name", "mode", "component"),
    crossed(
        itertools.product(("sequential", "spectral", "custom_cell"), OUTSIDE_XLA, EITHER),
        default=[("sequential", "graph", "full"), ("spectral", "eager", "batch")],
    ),
)
def test_the_batch_itself_gives_sam(name, mode, component):
    """With the same dropout, and nothing left behind: statistics and seeds are SAM's, too."""
    case, models = CASES[name], []
    data = tf.data.Dataset.from_tensors((case.x, case.y))
    for make in (
        lambda net: SharpnessAwareModel(net, SAM(rho=0.1)),
        lambda net: AscentFrom(net, SAM(rho=0.1), ascent_data=data, component=component),
    ):
        keras.utils.set_random_seed(0)
        model = make(case.build())
        model.compile(keras.optimizers.SGD(0.05), case.loss, **MODES[mode])
        for _ in range(2):
            model.train_on_batch(case.x, case.y)
        models.append(model)
    for sam, ours in zip(*(model.variables for model in models), strict=True):
        np.testing.assert_allclose(ours, sam, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("component", crossed(EVERY, default=["noise"]))
def test_other_passes_leave_no_state(component):
    """Logs, metrics, statistics, seeds: all are what SAM leaves, by the bit, without training."""
    case, state = CASES["sequential"], []
    for make in (SharpnessAwareModel, AscentFrom):
        keras.utils.set_random_seed(0)
        arguments = {"ascent_data": (case.x * 9, case.y), "component": component, "batch_size": 5}
        model = make(case.build(), SAM(), **(arguments if make is AscentFrom else {}))
        model.compile(keras.optimizers.SGD(0.0), case.loss, metrics=["accuracy"])
        for _ in range(2):
            logs = model.train_on_batch(case.x, case.y, return_dict=True)
        logs.pop("sharpness")
        own = {id(v) for v in model.sharpness_tracker.variables}
        state.append([*logs.values(), *(v.numpy() for v in model.variables if id(v) not in own)])
    assert_same(*state)


@pytest.mark.parametrize("component", crossed(EVERY, default=["batch"]))
def test_fit_of_a_network(component):
    """With a rule that keeps an average; eager and graph agree."""
    case, losses = CASES["subclassed"], []
    for mode in ("eager", "graph"):
        keras.utils.set_random_seed(0)
        model = AscentFrom(
            case.build(), FriendlySAM(rho=0.1), ascent_data=(case.x, case.y), component=component
        )
        model.compile(keras.optimizers.SGD(0.05), case.loss, **MODES[mode])
        epochs = {"eager": 1, "graph": 5}[mode]
        history = model.fit(case.x, case.y, 6, epochs=epochs, shuffle=False, verbose=0).history
        losses.append(history["loss"])
    np.testing.assert_allclose(losses[1][:1], losses[0], rtol=1e-4)
    assert losses[1][-1] < losses[1][0]


def test_a_dataset_of_unknown_size():
    data = tf.data.Dataset.from_tensor_slices((A, NOTHING)).batch(2)
    weights = []
    for given in (data, data.filter(lambda x, y: True)):
        model = curved("full", given)
        model.train_on_batch(A[:1], NOTHING[:1])
        weights.append(weights_of(model))
    assert_same(*weights)


def test_weights_are_saved_and_the_whole_is_not(tmp_path):
    model = curved("full")
    model.train_on_batch(A[:2], NOTHING[:2])
    model.save_weights(tmp_path / "w.weights.h5")
    other = curved("full")
    other.load_weights(tmp_path / "w.weights.h5")
    assert_same(weights_of(other), weights_of(model))
    with pytest.raises(NotImplementedError, match=r"Save `\.model`"):
        model.save(tmp_path / "model.keras")


BATCHES = tf.data.Dataset.from_tensor_slices((A, NOTHING)).batch(2)


@pytest.mark.parametrize(
    ("component", "data", "error", "message"),
    [
        ("half", (A, NOTHING), ValueError, "`component` must be .*Received: component='half'"),
        ("full", A, TypeError, "`ascent_data` must be a tf.data.Dataset"),
        ("full", BATCHES.unbatch().map(lambda x, y: y[0]), ValueError, "`ascent_data` must be bat"),
        ("noise", (A, NOTHING[:2]), ValueError, r"`ascent_data` must hold .*\(5, 3\), \(2, 1\)"),
        ("noise", BATCHES.repeat(), ValueError, "`ascent_data` must be finite: call `.take"),
        ("batch", BATCHES.take(0), ValueError, "`ascent_data` must hold at least one batch"),
        ("full", BATCHES.filter(lambda x, y: False), ValueError, "must hold at least one batch"),
    ],
)
def test_refused(component, data, error, message):
    with pytest.raises(error, match=message):
        curved(component, data)


def test_an_infinite_dataset_to_draw_from():
    curved("batch", BATCHES.repeat()).train_on_batch(A[:2], NOTHING[:2])


def test_several_devices_are_refused():
    class Distributed(AscentFrom):
        distribute_strategy = types.SimpleNamespace(num_replicas_in_sync=2)

    model = Distributed(CASES["no_training_argument"].build(), ascent_data=BATCHES)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"`Distributed` must train on one device.*: 2 devices"):
        model.train_on_batch(A, NOTHING)

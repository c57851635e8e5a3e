"""A batch in micro-batches, each with a perturbation of its own."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_zsharp import SAM, FriendlySAM, SharpnessAwareModel
from keras_zsharp.training.micro_batches import split as split_into
from tests.backends.networks import copied
from tests.still import still
from tests.tiers import crossed
from tests.training.cases import BACKEND, CASES, MODES, OUTSIDE_XLA, SAMPLES, in_every_mode
from tests.training.running import build
from tests.training.test_nothing_leaks import Recorded

CUT = {"batched_inputs": "all", "mean_of_parts": True}
"""All inputs are of examples, and all losses are means."""
BOUNDS = [0, 5, 11]
"""Of eleven examples in two micro-batches."""


@pytest.mark.parametrize("size", [1, 3, 5, 12, 13])
@pytest.mark.parametrize("mode", ["eager", "graph", "graph without shape", "xla"])
def test_micro_batches_hold_every_example_once(size, mode):
    x = np.arange(2 * size).reshape(size, 2)

    def split(x):
        batch = ({"x": x}, x[:, 0], None)
        return [(weight, *micro_batch) for weight, micro_batch in split_into(batch, 5)]

    if mode != "eager":
        if BACKEND != "tensorflow":
            pytest.skip("TensorFlow alone has graphs")
        import tensorflow as tf

        shape = (None, 2) if mode == "graph without shape" else x.shape
        signature = [tf.TensorSpec(shape, tf.int64)]
        split = tf.function(split, signature, jit_compile=mode == "xla")
    found = split(ops.convert_to_tensor(x))
    assert len(found) == 5
    sizes = [len(y) for _, _, y, _ in found]
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1
    weighted = [x["x"][: int(weight)] for weight, x, _, _ in found]
    np.testing.assert_array_equal(np.concatenate(weighted), x)
    for _, inputs, y, nothing in found:
        np.testing.assert_array_equal(inputs["x"][:, 0], y)
        assert nothing is None


def test_one_micro_batch_is_the_batch():
    batch = (ops.ones((3, 2)), None, None)
    [(weight, micro_batch)] = split_into(batch, 1)
    assert weight == 3
    assert micro_batch is batch


def sgd(model, name, learning_rate=1.0, **mode):
    case, optimizer = CASES[name], keras.optimizers.SGD(learning_rate)
    model.compile(optimizer, case.loss, case.loss_weights, **mode)
    return model


def part_of(tree, begin, end):
    return keras.tree.map_structure(lambda x: x[begin:end], tree)


def eleven(case):
    return [part_of(tree, 0, BOUNDS[-1]) for tree in (case.x, case.y)]


def micro_batches_alone(name, rho):
    """Means over the steps on each micro-batch alone: changes of weights, loss, sharpness."""
    case, net, total = CASES[name], build(name), 0.0
    start = copied(net.trainable_weights)
    for begin, end in itertools.pairwise(BOUNDS):
        for weight, value in zip(net.trainable_weights, start, strict=True):
            weight.assign(value)
        single = sgd(SharpnessAwareModel(net, SAM(rho)), name, run_eagerly=True)
        batch = (part_of(tree, begin, end) for tree in (case.x, case.y))
        logs = single.train_on_batch(*batch, return_dict=True)
        changes = [
            ops.convert_to_numpy(w) - s for w, s in zip(net.trainable_weights, start, strict=True)
        ]
        found = np.array([*changes, logs["loss"], logs["sharpness"]], dtype=object)
        total += (end - begin) / BOUNDS[-1] * found
    return total


STATELESS = ["regularized", "add_loss", "dict_inputs", "two_outputs", "unused_head", "token"]


@pytest.mark.parametrize(
    ("name", "mode"),
    crossed(
        [
            *((name, mode) for name in ("everything", "sparse_gradients") for mode in OUTSIDE_XLA),
            *((name, mode) for name in STATELESS for mode in MODES),
        ],
        default=[("sparse_gradients", "graph"), ("two_outputs", "graph")],
    ),
)
@pytest.mark.parametrize("rho", crossed([0.5, 0.0], default=[0.5]))
def test_step_is_the_mean_of_the_steps_of_the_micro_batches(name, mode, rho):
    """Each with a draw of dropout of its own; without a radius, as in plain Keras."""
    model = sgd(
        SharpnessAwareModel(build(name), SAM(rho), micro_batches=2, **CUT), name, **MODES[mode]
    )
    start = copied(model.trainable_weights)
    logs = model.train_on_batch(*eleven(CASES[name]), return_dict=True)
    *expected, loss, sharpness = micro_batches_alone(name, rho)
    for weight, before, change in zip(model.trainable_weights, start, expected, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(weight) - before, change, rtol=1e-3, atol=1e-5
        )
    assert logs["loss"] == pytest.approx(loss, rel=1e-4)
    assert logs["sharpness"] == pytest.approx(sharpness, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("name", crossed(STATELESS, default=["regularized"]))
def test_without_radius_the_parts_step_as_the_whole_batch(name):
    batch, plain = eleven(CASES[name]), build(name)
    models = [SharpnessAwareModel(build(name), still(), micro_batches=2, **CUT), plain]
    logs = [
        sgd(model, name, run_eagerly=True).train_on_batch(*batch, return_dict=True)["loss"]
        for model in models
    ]
    assert logs[0] == pytest.approx(logs[1], rel=1e-4)
    for ours, theirs in zip(*(model.trainable_weights for model in models), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


@in_every_mode
def test_state_goes_from_one_to_the_next(mode):
    """As over smaller batches of plain Keras: BatchNormalization, dropout, outputs' losses."""
    case = CASES["sequential"]
    model = SharpnessAwareModel(build("sequential"), SAM(rho=0.5), micro_batches=3, **CUT)
    sgd(model, "sequential", 0.0, **mode)
    small = sgd(build("sequential"), "sequential", 0.0, **mode)
    ours = model.fit(case.x, case.y, batch_size=6, shuffle=False, verbose=0).history
    theirs = small.fit(case.x, case.y, batch_size=2, shuffle=False, verbose=0).history
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
    for w, v in zip(model.model.get_weights(), small.get_weights(), strict=True):
        np.testing.assert_allclose(w, v, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("mode", OUTSIDE_XLA)
def test_both_passes_of_a_part_see_the_same_dropout_and_other_parts_another(mode):
    masks = []
    net = keras.Sequential([keras.Input((32,)), Recorded(masks), layers.Dense(1)])
    masks.clear()
    model = SharpnessAwareModel(net, SAM(rho=0.5), micro_batches=2, perturb_every=2)
    model.compile("sgd", "mse", **MODES[mode])
    x, y = np.ones((4, 32), "float32"), np.ones((4, 1), "float32")
    model.train_on_batch(x, y)
    assert len(masks) == 4
    different = {np.array(mask).tobytes() for mask in masks}
    assert len(different) == 2
    model.train_on_batch(x, y)
    assert len(masks) == 6
    assert len({np.array(mask).tobytes() for mask in masks}) == 4


@pytest.mark.parametrize(
    ("name", "mode"),
    crossed(
        itertools.product(
            ("custom_cell", "spectral", "time_distributed", "attention"), OUTSIDE_XLA
        ),
        default=[("custom_cell", "graph"), ("spectral", "eager")],
    ),
)
def test_layers_that_assign_in_their_call(name, mode):
    """At learning rate 0 and rho 0 the passes of a micro-batch agree: it is a small batch."""
    case = CASES[name]
    model = SharpnessAwareModel(build(name), still(), micro_batches=2, **CUT)
    sgd(model, name, 0.0, **MODES[mode])
    small = sgd(build(name), name, 0.0, **MODES[mode])
    ours = model.fit(case.x, case.y, batch_size=6, epochs=2, shuffle=False, verbose=0).history
    theirs = small.fit(case.x, case.y, batch_size=3, epochs=2, shuffle=False, verbose=0).history
    np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=1e-4)
    np.testing.assert_allclose(ours["sharpness"], 0, atol=1e-5)
    for w, v in zip(model.model.get_weights(), small.get_weights(), strict=True):
        np.testing.assert_allclose(w, v, rtol=1e-4, atol=1e-6)


def test_average_is_that_of_the_whole_batch():
    """As over replicas: the mean of the micro-batches' averages. A schedule counts steps."""
    case = CASES["dict_inputs"]
    schedule = keras.optimizers.schedules.PolynomialDecay(0.1, 10, 1.1)
    averages = []
    for micro_batches in (1, 5):
        rule = FriendlySAM(schedule)
        model = SharpnessAwareModel(build("dict_inputs"), rule, micro_batches=micro_batches, **CUT)
        sgd(model, "dict_inputs", 0.0, run_eagerly=True)
        model.fit(case.x, case.y, epochs=3, batch_size=SAMPLES, verbose=0)
        averages.append(copied(model.rule.averages))
        assert model.rule.rho == pytest.approx(0.4)
    for one, five in zip(*averages, strict=True):
        np.testing.assert_allclose(five, one, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("mode", crossed(MODES, default=["eager"]))
def test_metrics_see_all_predictions_and_the_last_batch_may_be_small(mode):
    case = CASES["two_outputs"]
    model = SharpnessAwareModel(build("two_outputs"), SAM(rho=0.5), micro_batches=4, **CUT)
    model.compile(
        keras.optimizers.SGD(0.0),
        case.loss,
        metrics={"kind": ["accuracy"], "size": ["mae"]},
        **MODES[mode],
    )
    logs = model.fit(case.x, case.y, batch_size=5, shuffle=False, verbose=0).history
    expected = model.evaluate(case.x, case.y, return_dict=True, verbose=0)
    for name in ("kind_accuracy", "size_mae", "loss"):
        assert logs[name][0] == pytest.approx(expected[name], rel=1e-5)

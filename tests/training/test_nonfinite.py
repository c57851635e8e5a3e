"""Batches that overflow are skipped as a whole, or taken as plain Keras takes them."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_zsharp import SAM, FriendlySAM, SharpnessAwareModel, ZSharp
from tests.still import still
from tests.tiers import crossed
from tests.training.cases import CASES, MODES, OUTSIDE_XLA, SPARSE, assert_same, in_every_mode

GOOD = np.random.default_rng(0).normal(size=(3, 8, 4)).astype("float32")
LABELS = np.arange(8) % 3
ARGUMENTS = {"whole": {}, "micro_batches": {"perturb_every": 2, "micro_batches": 2}}


def network():
    inputs = keras.Input((4,))
    x = layers.Dropout(0.2)(layers.BatchNormalization()(layers.Dense(6)(inputs)))
    return keras.Model(inputs, layers.Dense(3, dtype="float32")(x))


def compiled(rule="friendly_sam", optimizer="adamw", mode=MODES["graph"], **arguments):
    model = SharpnessAwareModel(network(), rule, **arguments)
    model.compile(optimizer, SPARSE, **mode)
    return model


def state(model, but=()):
    """Everything the step may write but for metrics, and the names in `but`."""
    variables = [*model.model.variables, *model.rule.variables, *model.optimizer.variables]
    return {
        f"{i} {v.path}": v.numpy()
        for i, v in enumerate(variables)
        if v.path.split("/")[-1] not in but
    }


def assert_same_state(left, right):
    assert left.keys() == right.keys()
    assert_same(left.values(), right.values())


def with_one(bad):
    x = GOOD[1].copy()
    x[3, 2] = bad
    return x


@pytest.mark.parametrize(
    ("bad", "arguments", "mode"),
    crossed(
        itertools.product(("nan", "inf"), ARGUMENTS, MODES),
        default=[
            ("nan", "micro_batches", "graph"),
            ("inf", "micro_batches", "eager"),
            ("inf", "whole", "graph"),
        ],
    ),
)
def test_a_bad_batch_changes_nothing(bad, arguments, mode):
    model = compiled(mode=MODES[mode], skip_nonfinite=True, **ARGUMENTS[arguments])
    for x in GOOD[:2]:
        model.train_on_batch(x, LABELS)
    before = state(model)
    logs = model.train_on_batch(with_one(float(bad)), LABELS, return_dict=True)
    assert np.isnan(logs["loss"])
    assert np.isfinite(logs["sharpness"])
    assert_same_state(state(model), before)
    for x in GOOD[:2]:
        model.train_on_batch(x, LABELS)
    after = state(model)
    assert all(np.isfinite(v).all() for v in after.values())
    assert any((v != before[name]).any() for name, v in after.items())


@pytest.mark.parametrize(
    "rule", crossed(["sam", "zsharp", "asam", "friendly_sam", ZSharp], default=["friendly_sam"])
)
def test_training_goes_on_as_if_there_had_been_no_bad_batch(rule):
    results = []
    for batches in (GOOD, [GOOD[0], with_one(np.inf), GOOD[1], GOOD[2]]):
        keras.utils.set_random_seed(0)
        new = rule if isinstance(rule, str) else rule(norm="per_variable")
        model = compiled(new, mode=MODES["eager"], skip_nonfinite=True)
        for x in batches:
            model.train_on_batch(x, LABELS)
        results.append(state(model))
    assert_same(*(list(result.values()) for result in results))


class Exponential(layers.Layer):
    """exp(w) of a scalar weight w = 40: finite, but not 60 further on."""

    def build(self, shape):
        self.w = self.add_weight(shape=(1, 1), initializer=keras.initializers.Constant(40.0))

    def call(self, inputs):
        return inputs * ops.exp(self.w)


@in_every_mode
@pytest.mark.parametrize("skip", [True, False])
def test_overflow_in_the_second_pass_alone(skip, mode):
    inputs = keras.Input((1,))
    net = keras.Model(inputs, Exponential()(inputs))
    model = SharpnessAwareModel(net, FriendlySAM(rho=60.0), skip_nonfinite=skip)
    model.compile(keras.optimizers.SGD(0.1), lambda y, y_pred: y_pred, **mode)
    logs = model.train_on_batch(np.ones((2, 1)), np.ones((2, 1)), return_dict=True)
    assert np.isfinite(logs["loss"])
    assert np.isfinite(logs["sharpness"]) == skip
    assert model.optimizer.iterations.numpy() == (0 if skip else 1)
    assert (net.get_weights()[0] == 40) == skip
    assert (model.rule.averages[0].numpy() == 0) == skip


class Root(layers.Layer):
    """sqrt(w) of a scalar weight w = 0, where the gradient is infinite, and finite beyond."""

    def build(self, shape):
        self.w = self.add_weight(shape=(1, 1), initializer="zeros")

    def call(self, inputs):
        return inputs * ops.sqrt(self.w)


class Away(SAM):
    """Perturbs by rho, whatever the gradients are."""

    def call(self, gradients, variables, rho):
        return [ops.full_like(g, rho) for g in gradients]


@pytest.mark.parametrize("mode", OUTSIDE_XLA)
def test_infinite_gradients_in_the_first_pass_alone(mode):
    """The optimizer of a scaled loss is told, though what it is given is finite."""
    inputs = keras.Input((1,))
    net = keras.Model(inputs, Root()(inputs))
    model = SharpnessAwareModel(net, Away(rho=1.0))
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=8.0)
    model.compile(optimizer, lambda y, y_pred: y_pred, **MODES[mode])
    logs = model.train_on_batch(np.ones((2, 1)), np.ones((2, 1)), return_dict=True)
    assert np.isfinite(list(logs.values())).all()
    assert net.get_weights()[0] == 0
    assert optimizer.dynamic_scale == 4.0


def test_sharpness_is_the_mean_of_the_steps_that_were_taken():
    x = np.concatenate([GOOD[0], with_one(np.nan)])
    y = np.concatenate([LABELS, LABELS])
    seen = []
    for data in ((x, y), (GOOD[0], LABELS)):
        keras.utils.set_random_seed(0)
        model = compiled(SAM(0.1), keras.optimizers.SGD(0.1), skip_nonfinite=True)
        seen.append(model.fit(*data, batch_size=8, shuffle=False, verbose=0).history)
    assert np.isnan(seen[0]["loss"][0])
    assert seen[0]["sharpness"] == pytest.approx(seen[1]["sharpness"], rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "mode"),
    crossed(
        itertools.product(ARGUMENTS, MODES),
        default=[("whole", "graph"), ("micro_batches", "eager")],
    ),
)
def test_loss_scale_that_is_too_large(arguments, mode):
    """It halves, and nothing else changes, until the gradients fit into float16."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        inner = keras.optimizers.AdamW()
        optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**24)
        model = compiled(optimizer=optimizer, mode=MODES[mode], **ARGUMENTS[arguments])
    finally:
        keras.config.set_dtype_policy("float32")
    model.train_on_batch(np.full((8, 4), 1e5), LABELS)
    before, scale = state(model, but=["dynamic_scale"]), 2.0**23
    assert optimizer.dynamic_scale.numpy() == scale
    assert inner.iterations.numpy() == 0
    for _ in range(24):
        model.reset_metrics()
        logs = model.train_on_batch(GOOD[0], LABELS, return_dict=True)
        assert np.isfinite(logs["loss"])
        if inner.iterations.numpy():
            break
        scale /= 2
        assert optimizer.dynamic_scale.numpy() == scale
        assert_same_state(state(model, but=["dynamic_scale"]), before)
    assert 0 < scale < 2.0**23
    for x in GOOD:
        model.train_on_batch(x, LABELS)
    assert all(np.isfinite(v).all() for v in state(model).values())
    assert inner.iterations.numpy() > 1


@pytest.mark.parametrize("mode", crossed(OUTSIDE_XLA, default=["eager"]))
def test_loss_scaling_of_sparse_gradients(mode):
    case = CASES["sparse_gradients"]
    model = SharpnessAwareModel(case.build(), "sam")
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=8.0)
    model.compile(optimizer, "mse", **MODES[mode])
    y = np.ones((len(case.x), 1), "float32")
    before = model.model.get_weights()
    model.train_on_batch(case.x, np.full_like(y, np.nan))
    assert optimizer.dynamic_scale.numpy() == 4.0
    assert_same(model.model.get_weights(), before)
    model.train_on_batch(case.x, y)
    assert all((w != b).any() for w, b in zip(model.model.get_weights(), before, strict=True))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_without_skipping_a_bad_batch_does_what_it_does_to_plain_keras(bad):
    results = []
    for wrap in (lambda net: SharpnessAwareModel(net, still()), lambda net: net):
        keras.utils.set_random_seed(0)
        net = network()
        model = wrap(net)
        model.compile("adamw", SPARSE, run_eagerly=True)
        for x in (GOOD[0], with_one(bad)):
            model.train_on_batch(x, LABELS)
        results.append(net.get_weights())
    assert_same(*results)
    assert any(np.isnan(w).any() for w in results[0])


def test_without_skipping_loss_scaling_does_what_it_does_in_plain_keras():
    """The optimizer keeps the weights and halves its scale; BatchNormalization takes what comes."""
    results = []
    arguments = {"skip_nonfinite": False}
    for wrap in (lambda net: SharpnessAwareModel(net, still(), **arguments), lambda net: net):
        keras.utils.set_random_seed(0)
        net = network()
        model = wrap(net)
        inner = keras.optimizers.AdamW()
        optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0)
        model.compile(optimizer, SPARSE, run_eagerly=True)
        for x in (GOOD[0], with_one(np.inf), GOOD[1]):
            model.train_on_batch(x, LABELS)
        assert optimizer.dynamic_scale.numpy() < 8.0
        results.append([*net.get_weights(), *(v.numpy() for v in optimizer.variables)])
    assert_same(*results)
    assert any(np.isnan(w).any() for w in results[0])


@pytest.mark.parametrize(
    ("policy", "mode"),
    crossed(
        itertools.product(("mixed_float16", "mixed_bfloat16"), OUTSIDE_XLA),
        default=[("mixed_float16", "graph"), ("mixed_bfloat16", "eager")],
    ),
)
def test_mixed_precision_without_a_perturbation_is_plain_keras(policy, mode):
    mode = MODES[mode]
    results = []
    for wrap in (lambda net: SharpnessAwareModel(net, still()), lambda net: net):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(policy)
        try:
            net = network()
        finally:
            keras.config.set_dtype_policy("float32")
        model = wrap(net)
        model.compile("adamw", SPARSE, **mode)
        for x in GOOD:
            model.train_on_batch(x, LABELS)
        results.append([*net.get_weights(), *(v.numpy() for v in model.optimizer.variables)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0 if mode.get("run_eagerly") else 1e-2)


def test_bfloat16_skips_a_bad_batch_where_it_is_asked():
    """Its range is that of float32: no loss scaling, and no skipping by default."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        models = [compiled(skip_nonfinite=skip) for skip in (None, True)]
    finally:
        keras.config.set_dtype_policy("float32")
    for model in models:
        model.train_on_batch(GOOD[0], LABELS)
        before = state(model)
        model.train_on_batch(with_one(np.nan), LABELS)
        if model.skips_nonfinite:
            assert_same_state(state(model), before)
    assert [model.skips_nonfinite for model in models] == [False, True]
    assert any(np.isnan(v).any() for v in state(models[0]).values())


@pytest.mark.parametrize("value", [None, True, False])
def test_argument_is_saved(value, tmp_path):
    model = compiled(skip_nonfinite=value)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").skip_nonfinite is value

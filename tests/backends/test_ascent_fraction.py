"""`ascent_fraction`: the clean pass takes the first examples of a batch, the second all of them."""

import itertools
import math

import keras
import numpy as np
import pytest
from keras import layers

import keras_zsharp
from keras_zsharp import SAM, SharpnessAwareModel, SharpnessAwareTraining, sharpness_aware
from keras_zsharp.callbacks import Backup
from tests.backends import networks
from tests.tiers import crossed
from tests.training import reference
from tests.training.cases import CASES, normal
from tests.training.running import build, compiled, sample_weight

BACKEND = keras.backend.backend()
QUARTER = {"ascent_fraction": 0.25}
X, Y = normal(5), normal(1)  # Twelve examples.
RHO = 0.1


class Net(SharpnessAwareTraining, keras.Sequential):
    pass


def small():
    return keras.Sequential(
        [keras.Input((5,)), layers.Dense(4, activation="tanh"), layers.Dense(1)]
    )


def stepped(model, loss="mse", **fit):
    model.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=True)
    model.fit(X, Y, batch_size=len(X), shuffle=False, verbose=0, **fit)
    return networks.copied(model.trainable_weights)


@pytest.fixture
def dtype():
    """float64 where Keras' steps are of it: on PyTorch they go by float32."""
    before, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64" if BACKEND == "tensorflow" else "float32")
    yield keras.config.floatx()
    keras.config.set_floatx(before)
    keras.config.set_dtype_policy(policy)  # It may be made while `floatx` is another.


@pytest.mark.parametrize(
    ("size", "fraction"), [(10, 0.25), (12, 0.07), (3, 1e-3), (100, 0.07), (8, 1e-15)]
)
@pytest.mark.parametrize("every", [1, 2])  # With 2 TensorFlow finds the size while it runs.
def test_a_step_of_numpy(size, fraction, every, dtype):
    """The error of a linear model."""
    random = np.random.default_rng(0)
    x, y, w = random.normal(size=(size, 5)), random.normal(size=(size, 1)), np.ones((5, 1))
    dense = layers.Dense(1, use_bias=False, kernel_initializer="ones", dtype=dtype)
    net = keras.Sequential([keras.Input((5,), dtype=dtype), dense])
    options = {"ascent_fraction": fraction, "perturb_every": every}
    model = SharpnessAwareModel(net, SAM(rho=0.5), **options)
    model.compile(keras.optimizers.SGD(0.125), "mse", jit_compile=BACKEND == "jax")
    model.fit(x.astype(dtype), y.astype(dtype), batch_size=size, shuffle=False, verbose=0)

    def gradient(w, n):
        return 2 * x[:n].T @ (x[:n] @ w - y[:n]) / n

    first = max(1, -(-size * round(fraction * 1000) // 1000))  # Rounded up, in whole numbers.
    ascent = gradient(w, first)
    p = gradient(w + 0.5 * ascent / (np.linalg.norm(ascent) + 1e-8), size)
    kernel = keras.ops.convert_to_numpy(dense.kernel)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(kernel, w - 0.125 * p, rtol=tolerance)


@pytest.mark.parametrize(
    ("name", "way"),
    crossed(
        itertools.product(
            ["sequential", "two_outputs", "dict_inputs", "class_weight"], ["wrapper", "in place"]
        ),
        default=[("sequential", "in place"), ("dict_inputs", "wrapper")],
    ),
)
def test_agrees_with_perturb_and_restore(name, way):
    case = CASES[name]
    make = SharpnessAwareModel if way == "wrapper" else sharpness_aware
    sharp = make(build(name), SAM(rho=RHO), batched_inputs="all", **QUARTER)
    sharp = compiled(sharp, name, run_eagerly=True)
    how = {"batch_size": len(X), "epochs": 3, "shuffle": False, "verbose": 0, **case.fit}
    history = sharp.fit(case.x, case.y, **how).history
    batch = case.x, case.y, sample_weight(case)
    plain = compiled(build(name), name, run_eagerly=True)
    expected = reference.train(plain, reference.sam, RHO, [batch] * 3, first=3)
    np.testing.assert_allclose(history["loss"], expected, rtol=2e-4)


@pytest.mark.parametrize("options", [{}, {"micro_batches": 2}, {"perturb_every": 2}])
def test_the_whole_batch_is_the_step_without_the_option(options):
    ends = []
    for more in ({}, {"ascent_fraction": 1.0}):
        model = SharpnessAwareModel(networks.network(dropout=0.2), SAM(rho=RHO), **options, **more)
        logs = networks.trained(networks.compiled(model), examples=96)
        ends.append((logs, networks.copied(model.variables)))
    assert ends[0][0] == ends[1][0]
    for one, other in zip(ends[0][1], ends[1][1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_radius_of_zero_is_plain_keras():
    ends = []
    for way in (lambda net: net, lambda net: SharpnessAwareModel(net, SAM(rho=0.0), **QUARTER)):
        model = networks.compiled(way(networks.network(dropout=0.2)), metrics=["accuracy"])
        logs = networks.trained(model, examples=96)
        ends.append((logs["loss"], logs["accuracy"], networks.copied(model.weights)))
    assert ends[0][:2] == ends[1][:2]
    for one, other in zip(ends[0][2], ends[1][2], strict=True):
        np.testing.assert_array_equal(one, other)


def test_micro_batches_each_have_a_first_part():
    """Their mean is that of steps on each alone."""
    start = networks.copied(small_with_ones().trainable_weights)
    changes = []
    for begin in (0, 6):
        model = SharpnessAwareModel(small_with_ones(), SAM(rho=RHO), ascent_fraction=0.5)
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(X[begin : begin + 6], Y[begin : begin + 6], shuffle=False, verbose=0)
        changes.append(networks.copied(model.trainable_weights))
    both = SharpnessAwareModel(
        small_with_ones(), SAM(rho=RHO), ascent_fraction=0.5, micro_batches=2
    )
    both.compile(keras.optimizers.SGD(0.1), "mse")
    both.fit(X, Y, batch_size=12, shuffle=False, verbose=0)
    for w, *each, together in zip(
        start, *changes, networks.copied(both.trainable_weights), strict=True
    ):
        np.testing.assert_allclose(together, w + np.mean(np.subtract(each, w), 0), rtol=1e-5)


def small_with_ones():
    net = small()
    net.set_weights([np.full(w.shape, 0.3, "float32") for w in net.get_weights()])
    return net


@pytest.mark.parametrize("micro_batches", [1, 2])
def test_loss_and_metrics_are_those_of_the_first_examples(micro_batches):
    """Without a learning rate the weights stay, and the mean is over what was looked at."""
    model = SharpnessAwareModel(
        small_with_ones(), SAM(rho=RHO), micro_batches=micro_batches, ascent_fraction=0.5
    )
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=["mae"])
    logs = model.fit(X, Y, batch_size=4, shuffle=False, verbose=0).history
    each = 2 // micro_batches
    rows = [row for row in range(12) if row % (4 // micro_batches) < each]
    errors = keras.ops.convert_to_numpy(small_with_ones()(X))[rows] - Y[rows]
    np.testing.assert_allclose(logs["loss"], [np.mean(errors**2)], rtol=1e-5)
    np.testing.assert_allclose(logs["mae"], [np.mean(np.abs(errors))], rtol=1e-5)


def test_sharpness_is_of_all_examples_at_the_shifted_weights():
    model = SharpnessAwareModel(small_with_ones(), SAM(rho=1e-6), ascent_fraction=0.5)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    logs = model.fit(X, Y, batch_size=12, shuffle=False, verbose=0).history
    errors = (keras.ops.convert_to_numpy(small_with_ones()(X)) - Y) ** 2
    difference = np.mean(errors) - np.mean(errors[:6])
    np.testing.assert_allclose(logs["sharpness"], [difference], atol=1e-4)


def test_batches_of_any_size():
    model = SharpnessAwareModel(networks.network(), SAM(rho=RHO), **QUARTER)
    losses = networks.trained(networks.compiled(model), epochs=2, examples=32 + 1)["loss"]
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    with_policy = keras.dtype_policies.get(policy)
    dense = layers.Dense(4, activation="tanh", dtype=with_policy)
    net = keras.Sequential([keras.Input((5,)), dense, layers.Dense(1, dtype="float32")])
    model = SharpnessAwareModel(net, SAM(rho=RHO), dtype=policy, **QUARTER)
    model.compile("adam", "mse")
    losses = model.fit(X, Y, batch_size=6, epochs=3, verbose=0).history["loss"]
    assert np.isfinite(losses).all()


def test_a_step_with_a_nan_in_the_rest_of_the_batch_is_skipped():
    model = SharpnessAwareModel(small(), SAM(rho=RHO), skip_nonfinite=True, **QUARTER)
    before = networks.copied(model.variables)
    model.compile("sgd", "mse")
    with_nan = X.copy()
    with_nan[-1] = np.nan
    logs = model.fit(with_nan, Y, batch_size=12, shuffle=False, verbose=0).history
    assert logs["skipped"] == [1.0]
    for one, other in zip(before, networks.copied(model.variables[: len(before)]), strict=True):
        np.testing.assert_array_equal(one, other)


class Interrupts(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if self.model.optimizer.iterations == 5:
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on(tmp_path):
    def run(*callbacks):
        model = SharpnessAwareModel(networks.network(dropout=0.2), SAM(rho=RHO), **QUARTER)
        networks.trained(networks.compiled(model), 3, 3 * 32, callbacks=callbacks)
        return networks.copied(model.model.weights)

    expected = run()
    with pytest.raises(KeyboardInterrupt):
        run(Backup(tmp_path), Interrupts())
    for one, other in zip(expected, run(Backup(tmp_path)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_saved_with_the_model(tmp_path):
    model = SharpnessAwareModel(small(), "sam", **QUARTER)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").ascent_fraction == 0.25


@pytest.mark.parametrize("fraction", [0, -0.5, 1.01, math.nan, math.inf, True, "half", None])
def test_numbers_out_of_bounds(fraction):
    with pytest.raises((TypeError, ValueError), match="`ascent_fraction` must be"):
        SharpnessAwareModel(small(), "sam", ascent_fraction=fraction)


class DescendsAlongBoth(keras_zsharp.SAM):
    def descent(self, gradients, shifted_gradients):
        return [g + p for g, p in zip(gradients, shifted_gradients, strict=True)]


@pytest.mark.parametrize("rule", ["look_sam", "msam", "wsam", "gsam", DescendsAlongBoth()])
def test_rules_for_which_the_gradients_are_no_direction(rule):
    before = networks.copied((net := small()).weights)
    with pytest.raises(ValueError, match="`ascent_fraction` must be 1 for a rule"):
        stepped(SharpnessAwareModel(net, rule, **QUARTER))
    for one, other in zip(before, networks.copied(net.weights), strict=True):
        np.testing.assert_array_equal(one, other)


def own_loss(y, y_pred):
    return keras.ops.sum(keras.ops.square(y - y_pred))


class Counts(layers.Layer):
    """Counts the examples."""

    def build(self, shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, inputs):
        self.count.assign(self.count + keras.ops.sum(keras.ops.ones_like(inputs[:, 0])))
        return inputs


def test_a_refused_pair_leaves_what_was_there():
    model = SharpnessAwareModel(small(), "gsam")
    with pytest.raises(ValueError, match="`ascent_fraction` must be 1"):
        model.ascent_fraction = 0.25
    assert model.ascent_fraction == 1
    model = SharpnessAwareModel(small(), "sam", **QUARTER)
    with pytest.raises(ValueError, match="`ascent_fraction` must be 1"):
        model.rule = "look_sam"
    assert type(model.rule) is SAM
    net = small()
    with pytest.raises(ValueError, match="`ascent_fraction` must be 1"):
        sharpness_aware(net, "msam", **QUARTER)
    assert type(net) is keras.Sequential


class Initialized(layers.Layer):
    """Sets a weight by the first batch that it sees."""

    def build(self, shape):
        self.offset = self.add_weight(shape=(shape[-1],), initializer="zeros")

    def call(self, inputs):
        self.offset.assign(keras.ops.mean(inputs, 0))
        return inputs - self.offset


class Now(layers.Layer):
    """Assigns only where it sees many examples."""

    def build(self, shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, inputs):
        if inputs.shape[0] and inputs.shape[0] > 6:
            self.count.assign(self.count + 1)
        return inputs


@pytest.mark.skipif(BACKEND == "jax", reason="JAX keeps no weight that a layer assigns")
@pytest.mark.parametrize(
    ("layer", "message"),
    [(Initialized, "must not assign weights"), (Now, "must assign the same variables")],
)
def test_what_a_part_would_assign_otherwise_is_refused(layer, message):
    net = keras.Sequential([keras.Input((5,)), layer(), layers.Dense(1)])
    with pytest.raises(ValueError, match=message):
        stepped(SharpnessAwareModel(net, "sam", **QUARTER))


class Attributes(layers.Layer):
    def __init__(self):
        super().__init__()
        self.seen = [0]

    def call(self, inputs):
        self.seen[0] += inputs.shape[0] or 0
        return inputs


def test_attributes_are_those_of_the_pass_over_the_whole_batch():
    counts = []
    for options in ({}, QUARTER):
        net = keras.Sequential([keras.Input((5,)), counting := Attributes(), layers.Dense(1)])
        before = counting.seen[0]
        stepped(SharpnessAwareModel(net, SAM(rho=RHO), **options))
        counts.append(counting.seen[0] - before)
    assert counts[0] == counts[1]


class Logs(layers.Layer):
    """Has a metric of its own."""

    def __init__(self):
        super().__init__()
        self.mean = keras.metrics.Mean(name="mean_input")
        self.dense = layers.Dense(1, kernel_initializer="ones")

    def call(self, inputs):
        outputs = self.dense(inputs)
        self.mean.update_state(outputs)
        return outputs


@pytest.mark.skipif(BACKEND == "jax", reason="Keras' step on JAX has no metrics of layers")
def test_a_layers_own_metric_is_that_of_the_clean_pass():
    model = SharpnessAwareModel(
        keras.Sequential([keras.Input((5,)), logs := Logs()]), SAM(rho=10.0), **QUARTER
    )
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    model.fit(X, Y, batch_size=12, shuffle=False, verbose=0)
    np.testing.assert_allclose(logs.mean.result(), X[:3].sum(-1).mean(), rtol=1e-4)


def test_what_has_no_part_is_refused():
    with pytest.raises(ValueError, match="`mean_of_parts` must be True"):
        stepped(SharpnessAwareModel(small(), "sam", **QUARTER), own_loss)
    stepped(SharpnessAwareModel(small(), "sam", mean_of_parts=True, **QUARTER), own_loss)


@pytest.mark.parametrize(
    "options",
    [{"perturb_every": 2}, {"perturb_from": 2}, {"perturb_from": 0.5}],
    ids=["every", "from", "share"],
)
def test_plain_steps_between(options):
    """The choice in a graph is the choice of the host."""
    model = networks.compiled(
        SharpnessAwareModel(networks.network(), SAM(rho=RHO), **options, **QUARTER)
    )
    eager = networks.compiled(
        SharpnessAwareModel(networks.network(), SAM(rho=RHO), **options, **QUARTER),
        run_eagerly=True,
    )
    compiled_logs, logs = (networks.trained(each, examples=96) for each in (model, eager))
    np.testing.assert_allclose(compiled_logs["loss"], logs["loss"], rtol=1e-4)
    np.testing.assert_allclose(compiled_logs["sharpness"], logs["sharpness"], rtol=1e-3, atol=1e-5)


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch's host decides")
def test_one_program_for_steps_of_two_sizes_is_refused():
    model = SharpnessAwareModel(networks.network(), "sam", perturb_every=2, **QUARTER)
    how = {"tensorflow": {"jit_compile": True}, "jax": {"steps_per_execution": 2}}[BACKEND]
    with pytest.raises(ValueError, match="one compiled program"):
        networks.trained(networks.compiled(model, **how), examples=96)
    every = SharpnessAwareModel(networks.network(), "sam", **QUARTER)
    assert np.isfinite(networks.trained(networks.compiled(every, **how), examples=64)["loss"]).all()


@pytest.mark.skipif(BACKEND != "jax", reason="JAX")
def test_the_host_decides_where_a_branch_would_cost_nothing(monkeypatch):
    from keras_zsharp.backend.jax import devices

    monkeypatch.setattr(devices, "on_cpu", lambda: False)
    test_plain_steps_between({"perturb_every": 2})


@pytest.mark.parametrize("options", [{}, {"perturb_every": 2}])
@pytest.mark.parametrize("eagerly", [True, False])
def test_state_is_that_of_the_pass_over_the_whole_batch(options, eagerly):
    """And is counted once."""
    net = keras.Sequential([keras.Input((5,)), counts := Counts(), layers.BatchNormalization()])
    model = SharpnessAwareModel(net, SAM(rho=RHO), **options, **QUARTER)
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=eagerly)
    model.fit(X, X, batch_size=6, epochs=2, shuffle=False, verbose=0)
    assert counts.count.numpy() == 4 * 6
    means = np.zeros(5)
    for begin in (0, 6, 0, 6):
        means = 0.99 * means + 0.01 * X[begin : begin + 6].mean(0)
    np.testing.assert_allclose(net.layers[-1].moving_mean.numpy(), means, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("policy", ["a seed", "no seed"])
def test_dropout_draws_as_often_as_plain_keras(policy):
    seed = 1 if policy == "a seed" else None
    states = []
    for way in (lambda net: net, lambda net: SharpnessAwareModel(net, SAM(rho=RHO), **QUARTER)):
        dropout = layers.Dropout(0.5, seed=seed)
        net = keras.Sequential([keras.Input((5,)), dropout, layers.Dense(1)])
        model = way(net)
        model.compile("sgd", "mse")
        model.fit(X, Y, batch_size=4, verbose=0)
        states.append(networks.copied([dropout.seed_generator.state])[0][1:])
    np.testing.assert_array_equal(*states)

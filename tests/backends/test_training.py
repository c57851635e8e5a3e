"""What the step promises, on whatever backend Keras runs."""

import os
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest

import keras_zsharp
from keras_zsharp import SharpnessAwareModel, callbacks, plain, sharpness_aware
from tests.backends import networks
from tests.still import still

pytestmark = pytest.mark.matrix
BACKEND = keras.backend.backend()
JAX, TORCH = (pytest.mark.skipif(name != BACKEND, reason=name) for name in ("jax", "torch"))
MODES = {"default": {}, "eager": {"run_eagerly": True}}
IN_A_GRAPH = pytest.mark.skipif(BACKEND == "torch", reason="Keras runs PyTorch eagerly")


def assert_equal(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_nothing_of_tensorflow_is_loaded():
    program = (
        "import sys, keras_zsharp\n"
        "found = [name for name in sys.modules if name.partition('.')[0] == 'tensorflow']\n"
        "assert not found, found[:3]\n"
    )
    if BACKEND != "tensorflow":
        environment = {**os.environ, "KERAS_BACKEND": BACKEND}
        subprocess.run([sys.executable, "-c", program], env=environment, check=True)


WITHOUT_RADIUS = {
    "two passes": lambda net: SharpnessAwareModel(net, still()),
    "one pass": lambda net: SharpnessAwareModel(net, keras_zsharp.SAM(rho=0.0)),
    "too early": lambda net: SharpnessAwareModel(net, keras_zsharp.SAM(), perturb_from=100),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("way", WITHOUT_RADIUS)
def test_without_radius_equals_plain_keras(way, dropout, mode):
    nets = [networks.network(dropout=dropout) for _ in range(2)]
    models = [nets[0], WITHOUT_RADIUS[way](nets[1])]
    logs = []
    for model in models:
        networks.compiled(model, metrics=["accuracy"], **MODES[mode])
        logs.append(networks.trained(model, epochs=2, examples=96))
    for name in ("loss", "accuracy"):
        np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=1e-6)
    np.testing.assert_allclose(logs[1]["sharpness"], 0, atol=1e-6)
    for one, other in zip(*(networks.copied(net.weights) for net in nets), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", [1, None])
def test_both_passes_see_the_same_noise(seed):
    """At a radius of almost nothing, another mask is all that could tell the losses apart."""
    model = SharpnessAwareModel(
        networks.network(keras.layers.Dropout(0.5, seed=seed)), keras_zsharp.SAM(rho=1e-4)
    )
    history = networks.trained(networks.compiled(model), epochs=1, examples=96)
    assert 0 < history["sharpness"][0] < 1e-3


def test_statistics_and_metrics_are_those_of_the_clean_pass():
    """A learning rate of 0: whatever the second pass sees, it leaves nothing."""
    nets = [networks.network() for _ in range(2)]
    models = [nets[0], SharpnessAwareModel(nets[1], keras_zsharp.SAM(rho=5.0))]
    logs = []
    for model in models:
        networks.compiled(model, keras.optimizers.SGD(0.0), metrics=["accuracy"])
        logs.append(networks.trained(model, examples=96))
    assert logs[1].pop("sharpness")[0] > 0.1
    for name, values in logs[0].items():
        np.testing.assert_allclose(logs[1][name], values, rtol=1e-6)
    for one, other in zip(*(networks.copied(net.weights) for net in nets), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
    assert np.abs(networks.copied(nets[0].non_trainable_weights)[0]).max() > 1e-3


class Fails(keras.layers.Layer):
    """Raises an error in the pass that it is told."""

    passes, failing = 0, None

    def call(self, inputs):
        if inputs.shape[0] == networks.BATCH:
            type(self).passes += 1
            if type(self).passes == type(self).failing:
                raise FloatingPointError("in a pass")
        return inputs


def test_an_error_in_the_second_pass_leaves_everything():
    Fails.passes, Fails.failing = 0, None
    model = SharpnessAwareModel(networks.network(Fails()), keras_zsharp.FriendlySAM(rho=0.1))
    networks.compiled(model, run_eagerly=True)
    x, y = networks.data(networks.BATCH)
    model.train_on_batch(x, y)
    before = networks.state(model)
    Fails.failing = Fails.passes + 2
    with pytest.raises(Exception, match="in a pass"):
        model.train_on_batch(x, y)
    assert_equal(networks.state(model), before)
    model.train_on_batch(x, y)


def not_a_number(examples):
    x, y = networks.data(examples)
    x[: networks.BATCH] = np.nan
    return x, y


@pytest.mark.parametrize("rule", ["zsharp", "friendly_sam"])
def test_a_step_that_is_not_finite_is_skipped_as_a_whole(rule):
    model = SharpnessAwareModel(networks.network(), rule, skip_nonfinite=True)
    networks.compiled(model, keras.optimizers.Adam(1e-3))
    networks.trained(model, examples=networks.BATCH)
    losses = {id(v) for v in model.metrics_variables}
    kept = [*(v for v in model.variables if id(v) not in losses), *model.optimizer.variables]
    before = networks.copied(kept)
    model.fit(*not_a_number(networks.BATCH), batch_size=networks.BATCH, verbose=0)
    assert_equal(networks.copied(kept), before)
    history = model.fit(
        *not_a_number(2 * networks.BATCH), batch_size=networks.BATCH, shuffle=False, verbose=0
    )
    assert np.isfinite(history.history["sharpness"][0])
    assert int(keras.ops.convert_to_numpy(model.optimizer.iterations)) == 2


def test_loss_scaling_goes_down_where_float16_overflows():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = SharpnessAwareModel(networks.network(), "zsharp")
        networks.compiled(model, keras.optimizers.Adam(1e-3))
        x, y = networks.data(networks.BATCH)
        model.train_on_batch(x, y)
        model.optimizer.dynamic_scale.assign(2.0**60)
        before = networks.copied(model.model.weights)
        model.train_on_batch(x, y)
    finally:
        keras.config.set_dtype_policy("float32")
    assert_equal(networks.copied(model.model.weights), before)
    assert float(keras.ops.convert_to_numpy(model.optimizer.dynamic_scale)) == 2.0**59


@pytest.mark.parametrize(
    "rule", ["zsharp", "friendly_sam", "gsam", "look_sam", "msam", "random_sam"]
)
def test_a_saved_model_goes_on_with_the_same_bits(rule, tmp_path):
    model = SharpnessAwareModel(networks.network(dropout=0.5), networks.rule_of(rule))
    networks.compiled(model, keras.optimizers.Adam(1e-3))
    networks.trained(model, examples=96)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.rule.get_config() == model.rule.get_config()
    assert_equal(networks.state(loaded), networks.state(model))
    for each in (model, loaded):
        networks.trained(each, examples=96)
    assert_equal(networks.state(loaded), networks.state(model))


class Killed(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise InterruptedError


@pytest.mark.parametrize("seed", [1, None])
def test_an_interrupted_run_ends_with_the_same_bits(seed, tmp_path):
    def run(*callbacks):
        keras.utils.set_random_seed(0)
        layer = keras.layers.Dropout(0.5, seed=seed)
        model = SharpnessAwareModel(networks.network(layer), networks.rule_of("friendly_sam"))
        networks.compiled(model, keras.optimizers.Adam(1e-3))
        networks.trained(model, epochs=4, examples=96, callbacks=list(callbacks))
        return networks.copied([*model.model.weights, *model.optimizer.variables])

    straight = run()
    with pytest.raises(InterruptedError):
        run(callbacks.Backup(tmp_path / "backup"), Killed())
    assert_equal(run(callbacks.Backup(tmp_path / "backup")), straight)


def test_in_place_equals_the_wrapper():
    wrapped = SharpnessAwareModel(networks.network(), networks.rule_of("zsharp"))
    itself = sharpness_aware(networks.network(), networks.rule_of("zsharp"))
    for model in (wrapped, itself):
        networks.compiled(model)
        networks.trained(model, examples=96)
    net = plain(itself)
    assert type(net) is keras.Sequential
    assert_equal(networks.copied(net.weights), networks.copied(wrapped.model.weights))
    networks.trained(networks.compiled(net), examples=96)


class Doubles(keras.callbacks.Callback):
    """Sets the radius of a rule that it holds itself."""

    def __init__(self, rule):
        super().__init__()
        self.rule, self.seen = rule, []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(self.rule.rho)
        self.rule.rho = 2 * self.rule.rho


def test_rho_is_set_from_a_callback_by_whatever_reference():
    rule = keras_zsharp.ZSharp(rho=0.125, q_p=0.9)
    model = networks.compiled(SharpnessAwareModel(networks.network(), rule))
    callback = Doubles(rule)
    networks.trained(model, examples=96, callbacks=[callback])
    assert callback.seen == [0.125, 0.25, 0.5]
    assert rule.rho == 1.0
    assert rule.get_config()["q_p"] == 0.9


def test_the_rule_is_replaced_from_a_callback():
    class Replaces(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 0:
                self.model.rule = keras_zsharp.FriendlySAM(rho=0.0)

    model = networks.compiled(SharpnessAwareModel(networks.network(), "sam"))
    history = networks.trained(model, epochs=2, examples=96, callbacks=[Replaces()])
    assert history["sharpness"][0] > 1e-3 > abs(history["sharpness"][1])
    assert len(model.rule.averages) == len(model.trainable_variables)


SET_WITHIN_AN_EPOCH = {
    "rule": lambda model: setattr(model, "rule", keras_zsharp.FriendlySAM(rho=0.0)),
    "option": lambda model: setattr(model, "perturb_from", 100),
    "rho": lambda model: setattr(model.rule, "rho", 0.0),
}


@pytest.mark.parametrize("what", SET_WITHIN_AN_EPOCH)
def test_settings_hold_within_an_epoch_from_a_closure_over_the_model(what):
    """`self.model` of a callback puts JAX's state back, any other reference does not."""
    model = networks.compiled(SharpnessAwareModel(networks.network(), "sam"))
    seen = []

    def set_it(batch, logs):
        seen.append(logs["sharpness"])
        if batch == 0:
            SET_WITHIN_AN_EPOCH[what](model)

    callback = keras.callbacks.LambdaCallback(on_train_batch_end=set_it)
    networks.trained(model, examples=96, callbacks=[callback])
    assert seen[0] > 1e-3
    # The mean over the perturbed steps, of which there is no other.
    np.testing.assert_allclose(seen, [seen[0]] * 3, rtol=1e-6)
    assert model.rule.rho == (0.05 if what == "option" else 0.0)
    assert int(model.optimizer.iterations) == 3


class Unused(keras.Model):
    def __init__(self):
        super().__init__()
        self.used, self.unused = keras.layers.Dense(30), keras.layers.Dense(30)
        self.last = keras.layers.Dense(10)

    def call(self, inputs):
        flat = keras.ops.reshape(inputs, (-1, 64))
        self.unused(flat)
        return self.last(self.used(flat))


class Given(keras_zsharp.SAM):
    """Notes for which variables it is given gradients."""

    def call(self, gradients, variables, rho):
        self.given = [gradient is not None for gradient in gradients]
        return super().call(gradients, variables, rho)


@pytest.mark.parametrize("mode", MODES)
def test_weights_without_influence_have_no_gradient(mode):
    rule = Given(rho=0.1)
    model = networks.compiled(SharpnessAwareModel(Unused(), rule), **MODES[mode])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's, of just that.
        networks.trained(model, examples=networks.BATCH)
    assert rule.given == [True, True, False, False, True, True]


def test_weights_without_influence_end_as_in_plain_keras():
    """On JAX plain Keras decays them, elsewhere it leaves them."""
    ends = []
    for way in (lambda net: net, lambda net: SharpnessAwareModel(net, still())):
        keras.utils.set_random_seed(0)
        net = Unused()
        model = networks.compiled(way(net), keras.optimizers.AdamW(0.01, weight_decay=0.5))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras', of just that.
            networks.trained(model, examples=96)
        ends.append(networks.copied(net.weights))
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_settings_are_checked():
    for options, message in (
        ({"micro_batches": 0}, "`micro_batches` must be an int >= 1"),
        ({"perturb_every": 0}, "`perturb_every` must be an int >= 1"),
        ({"perturbation_sync": "all"}, "`perturbation_sync` must be"),
    ):
        with pytest.raises(ValueError, match=message):
            SharpnessAwareModel(networks.network(), "sam", **options)
    with pytest.raises(ValueError, match="`rho` must be >= 0"):
        keras_zsharp.SAM(rho=-1.0)


def test_evaluation_is_without_dropout():
    model = SharpnessAwareModel(networks.network(dropout=0.5), "sam")
    networks.compiled(model)
    x, y = networks.data(96)
    assert model.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(model.predict(x, verbose=0), plain(model).predict(x, verbose=0))


@IN_A_GRAPH
def test_several_steps_at_once():
    ends = []
    for steps in (1, 3):
        model = SharpnessAwareModel(networks.network(dropout=0.5), "zsharp")
        networks.compiled(model, steps_per_execution=steps)
        networks.trained(model, examples=192)
        ends.append(networks.copied(model.model.weights))
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


class Counts(keras.layers.Layer):
    """Counts how often it is called: in a compiled step, while that is traced."""

    calls = 0

    def call(self, inputs):
        type(self).calls += 1
        return inputs


@pytest.mark.parametrize("rule", ["zsharp", "friendly_sam"])
def test_micro_batches_are_as_if_one_followed_the_other(rule):
    """With statistics, noise and a rule's averages, which go from part to part."""
    ends = []
    for mode in MODES.values():
        rule_of_its_own = networks.rule_of(rule)
        model = SharpnessAwareModel(
            networks.network(dropout=0.5), rule_of_its_own, micro_batches=4, skip_nonfinite=True
        )
        networks.compiled(model, metrics=["accuracy"], **mode)
        history = networks.trained(model, examples=96)
        ends.append([*networks.copied(model.variables), *history.values()])
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@JAX
def test_equal_micro_batches_are_traced_once():
    counts = []
    for parts in (2, 8):
        Counts.calls = 0
        model = SharpnessAwareModel(networks.network(Counts()), "zsharp", micro_batches=parts)
        networks.trained(networks.compiled(model), examples=96)
        counts.append(Counts.calls)
    assert counts[0] == counts[1]


class Draws(keras.layers.Layer):
    def call(self, inputs):
        np.random.random()
        return inputs


def test_noise_that_the_passes_do_not_share_is_warned_of():
    model = SharpnessAwareModel(networks.network(Draws()), "sam")
    networks.compiled(model, run_eagerly=True)
    with pytest.warns(UserWarning, match="different noise"):
        networks.trained(model, examples=networks.BATCH)


@TORCH
def test_a_module_of_pytorch_is_refused():
    import torch

    net = keras.Sequential(
        [keras.Input((64,)), keras.layers.TorchModuleWrapper(torch.nn.Linear(64, 10))]
    )
    model = networks.compiled(SharpnessAwareModel(net, "sam"))
    x, y = networks.data(networks.BATCH)
    with pytest.raises(ValueError, match="must read its weights as Keras variables"):
        model.fit(x.reshape(-1, 64), y, verbose=0)


@TORCH
def test_weights_that_are_read_around_the_scope_are_refused():
    class Around(keras.layers.Dense):
        def call(self, inputs):
            return inputs @ self.kernel._value

    model = SharpnessAwareModel(keras.Sequential([keras.Input((64,)), Around(10)]), "sam")
    networks.compiled(model)
    x, y = networks.data(networks.BATCH)
    before = networks.copied(model.model.weights)
    with pytest.raises(ValueError, match="must read its weights as Keras variables"):
        model.fit(x.reshape(-1, 64), y, verbose=0)
    assert_equal(networks.copied(model.model.weights), before)

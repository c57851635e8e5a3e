"""What else Keras users train with goes through the step as in plain Keras."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers

from keras_zsharp import SAM, FriendlySAM, SharpnessAwareModel, ZSharp, sharpness_aware
from keras_zsharp.keras_internals.optimizers import is_overwritten
from tests.still import still
from tests.tiers import crossed
from tests.training import reference
from tests.training.cases import (
    CASES,
    MODES,
    OUTSIDE_XLA,
    SAMPLES,
    assert_same,
    normal,
    skip_in_the_lowest_version,
)
from tests.training.running import build

STEPS = 5
OPTIMIZERS = {
    "gradient_accumulation_steps": {"gradient_accumulation_steps": 2},
    "clipnorm": {"clipnorm": 0.05},
    "global_clipnorm": {"global_clipnorm": 0.05},
    "clipvalue": {"clipvalue": 0.01},
    "ema": {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 2},
    "schedule": {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.05, 1, 0.5)},
}


def losses(net, arguments, case, mode):
    """Of five steps on one batch."""
    model = SharpnessAwareModel(net, SAM(rho=0.1))
    model.compile(keras.optimizers.AdamW(**arguments), case.loss, **mode)
    fitted = model.fit(case.x, case.y, batch_size=SAMPLES, epochs=STEPS, shuffle=False, verbose=0)
    return fitted.history["loss"]


def expected_losses(net, arguments, case, mode):
    net.compile(keras.optimizers.AdamW(**arguments), case.loss, **mode)
    return reference.train(net, reference.sam, 0.1, [(case.x, case.y, None)] * STEPS)


@pytest.mark.parametrize(
    ("name", "mode"),
    crossed(
        itertools.product(OPTIMIZERS, MODES),
        default=[("gradient_accumulation_steps", "graph"), ("ema", "eager"), ("clipnorm", "eager")],
    ),
)
def test_options_of_the_optimizer(name, mode):
    """Clipping, accumulation and averages act on the second gradients and on what follows."""
    case, arguments = CASES["regularized"], {"learning_rate": 0.05, **OPTIMIZERS[name]}
    found = losses(build("regularized"), arguments, case, MODES[mode])
    expected = expected_losses(build("regularized"), arguments, case, MODES["eager"])
    np.testing.assert_allclose(found, expected, rtol=2e-4)
    plain = expected_losses(build("regularized"), {"learning_rate": 0.05}, case, MODES["eager"])
    assert not np.allclose(plain, expected, rtol=1e-3)


def with_lora():
    inputs = keras.Input((5,))
    dense = layers.Dense(6, activation="tanh", lora_rank=2)
    x = dense(inputs)
    return keras.Model(inputs, layers.Dense(1, lora_rank=1)(x))


@pytest.mark.parametrize("rule", crossed([SAM, ZSharp, FriendlySAM], default=[FriendlySAM]))
def test_lora_trains_its_factors_alone(rule):
    keras.utils.set_random_seed(0)
    net = with_lora()
    model = SharpnessAwareModel(net, rule(rho=0.1))
    model.compile(keras.optimizers.AdamW(0.05), "mse")
    before = {v.path: v.numpy() for v in net.variables}
    x, y = normal(5), normal(1)
    loss = model.fit(x, y, batch_size=SAMPLES, epochs=10, verbose=0).history["loss"]
    assert loss[-1] < loss[0]
    changed = {v.path.split("/")[-1] for v in net.variables if (v.numpy() != before[v.path]).any()}
    assert changed == {"lora_kernel_a", "lora_kernel_b", "bias"}


def test_lora_agrees_with_the_reference():
    case, arguments = CASES["regularized"], {"learning_rate": 0.05}
    keras.utils.set_random_seed(0)
    expected = expected_losses(with_lora(), arguments, case, MODES["eager"])
    keras.utils.set_random_seed(0)
    got = losses(with_lora(), arguments, case, MODES["graph"])
    np.testing.assert_allclose(got, expected, rtol=2e-4)


def quantized(mode, wrap=lambda net: net, lora_rank=None, **arguments):
    """A network whose two layers are quantized, and trained for three steps."""
    keras.utils.set_random_seed(0)
    parts = [layers.Dense(6, activation="tanh", lora_rank=lora_rank), layers.Dense(1)]
    net = keras.Sequential([keras.Input((5,)), *parts])
    for layer in parts:
        layer.quantize(mode)
    model = wrap(net)
    model.compile(keras.optimizers.AdamW(0.05), "mse", **arguments)
    for _ in range(3):
        model.train_on_batch(normal(5), normal(1))
    return net


def scales(net):
    return [v.numpy() for v in net.trainable_variables if is_overwritten(v)]


@pytest.mark.parametrize("rule", crossed([SAM, ZSharp, FriendlySAM], default=[SAM]))
def test_float8_layers_train_and_their_scales_are_those_of_the_clean_pass(rule):
    # Not eagerly: that fails in plain Keras, too.
    plain = quantized("float8")
    unmoved = quantized("float8", lambda net: SharpnessAwareModel(net, still(rule)))
    assert len(scales(plain)) == 12
    for ours, theirs in zip(unmoved.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    # A weight 100 further on would show in the range of the kernel.
    far = quantized("float8", lambda net: SharpnessAwareModel(net, rule(rho=100.0)))
    assert all(np.isfinite(w).all() for w in far.get_weights())
    assert max(np.max(s) for s in scales(far)) < 10


@pytest.mark.parametrize("mode", crossed(["int8", "int4"], default=["int8"]))
def test_layers_quantized_to_integers_train_what_is_left(mode):
    """As in plain Keras: biases and LoRA's factors."""
    if mode == "int4":
        skip_in_the_lowest_version("has no int4")
    arguments = {"lora_rank": 2, "run_eagerly": True}
    plain = quantized(mode, **arguments)
    unmoved = quantized(mode, lambda net: SharpnessAwareModel(net, still()), **arguments)
    assert_same(unmoved.get_weights(), plain.get_weights())
    moved = quantized(mode, lambda net: SharpnessAwareModel(net, SAM(rho=0.5)), lora_rank=2)
    assert {v.name for v in moved.trainable_variables} == {"lora_kernel_a", "lora_kernel_b", "bias"}
    pairs = zip(moved.trainable_variables, plain.trainable_variables, strict=True)
    assert any((ours.numpy() != theirs.numpy()).any() for ours, theirs in pairs)


@pytest.mark.parametrize(("option", "value"), [("micro_batches", 2), ("ascent_fraction", 0.5)])
def test_float8_layers_refuse_parts_of_a_batch(option, value):
    with pytest.raises(ValueError, match=f"^`{option}` must be 1 for layers .* float8"):
        quantized("float8", lambda net: SharpnessAwareModel(net, "sam", **{option: value}))


def half_frozen(rule):
    """A model that has trained whole, whose first layer is then frozen, and its data."""
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((5,)), layers.Dense(6, activation="tanh"), layers.Dense(1)])
    model = SharpnessAwareModel(net, rule)
    data = normal(5), normal(1)
    model.compile("adamw", "mse")
    model.fit(*data, epochs=2, verbose=0)
    net.layers[0].trainable = False
    model.compile("adamw", "mse")
    return model, data


@pytest.mark.parametrize("rule", ["sam", "zsharp", "asam"])
def test_layer_frozen_half_way(rule):
    model, data = half_frozen(rule)
    frozen, head = (layer.get_weights() for layer in model.model.layers)
    model.fit(*data, epochs=2, verbose=0)
    assert_same(model.model.layers[0].get_weights(), frozen)
    assert (model.model.layers[1].get_weights()[0] != head[0]).any()


@pytest.mark.parametrize("mode", OUTSIDE_XLA)
def test_an_average_stays_with_its_variable(mode, tmp_path):
    """Not with another layer's of the same shape; across a file, it is told by its place."""
    keras.utils.set_random_seed(0)
    first, second = layers.Dense(5), layers.Dense(5)
    net = keras.Sequential([keras.Input((5,)), first, second])
    model = SharpnessAwareModel(net, "friendly_sam")
    second.trainable = False
    model.compile("sgd", "mse", **MODES[mode])
    model.train_on_batch(normal(5), normal(5))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.train_on_batch(normal(5), normal(5))
    first.trainable, second.trainable = False, True
    model.compile("sgd", "mse", **MODES[mode])
    before = net.get_weights()
    with pytest.raises(ValueError, match=r"must be those that this FriendlySAM averages\. Make a"):
        model.train_on_batch(normal(5), normal(5))
    assert_same(net.get_weights(), before)
    model.rule = "friendly_sam"
    model.train_on_batch(normal(5), normal(5))
    assert (second.kernel.numpy() != before[2]).any()


def test_rule_with_averages_asks_for_a_new_one_after_freezing():
    model, data = half_frozen("friendly_sam")
    before = model.model.get_weights()
    with pytest.raises(ValueError, match="must be those that this FriendlySAM averages"):
        model.fit(*data, verbose=0)
    assert_same(model.model.get_weights(), before)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["zsharp", "friendly_sam"])
def test_keras_applications(rule):
    net = keras.applications.MobileNet((32, 32, 3), alpha=0.25, weights=None, classes=3)
    model = SharpnessAwareModel(net, rule)
    model.compile("adamw", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = normal(32, 32, 3), np.arange(SAMPLES) % 3
    history = model.fit(x, y, batch_size=6, epochs=3, verbose=0).history
    assert np.isfinite([*history["loss"], *history["sharpness"]]).all()
    assert history["loss"][-1] < history["loss"][0]


TEXTS = ["the quick brown fox", "a lazy dog", "the fox and the dog"] * (SAMPLES // 3)
WORDS = sorted({word for text in TEXTS for word in text.split()})
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def bert(**options):
    hub = pytest.importorskip("keras_hub")
    backbone = hub.models.BertBackbone(
        vocabulary_size=50,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=8,
    )
    return hub.models.BertTextClassifier(backbone, num_classes=3, **options)


def text_classifier():
    """With its preprocessor, which takes strings, and those."""
    hub = pytest.importorskip("keras_hub")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = hub.models.BertTokenizer(vocabulary=[*special, *WORDS])
    preprocessor = hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=8)
    return bert(preprocessor=preprocessor), TEXTS


def image_classifier():
    """With its preprocessor, which resizes and rescales, and images of bytes."""
    hub = pytest.importorskip("keras_hub")
    backbone = hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 8],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(16, 16, 3),
    )
    converter = hub.layers.ImageConverter(image_size=(16, 16), scale=1 / 255)
    preprocessor = hub.models.ResNetImageClassifierPreprocessor(converter)
    net = hub.models.ResNetImageClassifier(backbone, num_classes=3, preprocessor=preprocessor)
    images = np.random.default_rng(0).integers(0, 256, (SAMPLES, 24, 20, 3), dtype="uint8")
    return net, images


@pytest.mark.slow
@pytest.mark.parametrize("make", [text_classifier, image_classifier])
def test_keras_hub_task_with_its_preprocessor(make, tmp_path):
    """In `fit`, `evaluate`, `predict` and after loading; without a radius, to the bit."""
    labels, ends = np.arange(SAMPLES) % 3, []
    for wrap in (lambda net: net, lambda net: sharpness_aware(net, still())):
        keras.utils.set_random_seed(0)
        net, x = make()
        before = net.predict(x, verbose=0)
        model = wrap(net)
        np.testing.assert_array_equal(model.predict(x, verbose=0), before)
        model.compile(keras.optimizers.AdamW(1e-2), LOGITS, run_eagerly=True)
        losses = [model.evaluate(x, labels, verbose=0)]
        losses += model.fit(x, labels, batch_size=6, shuffle=False, verbose=0).history["loss"]
        ends.append([*losses, model.evaluate(x, labels, verbose=0), model.predict(x, verbose=0)])
    assert_same(*ends)
    model.rule, model.run_eagerly = "zsharp", False
    history = model.fit(x, labels, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.all(history["sharpness"])
    model.save(tmp_path / "task.keras")
    loaded = keras.saving.load_model(tmp_path / "task.keras")
    assert isinstance(loaded.rule, ZSharp)
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )
    with pytest.raises(ValueError, match=r"`fit`.* keras_zsharp\.sharpness_aware\(model, rule\)"):
        SharpnessAwareModel(make()[0])


@pytest.mark.slow
def test_keras_hub_text_classifier_of_tokens():
    net = bert()
    tokens = np.random.default_rng(0).integers(1, 50, (SAMPLES, 8))
    x = {
        "token_ids": tokens,
        "segment_ids": np.zeros_like(tokens),
        "padding_mask": np.ones_like(tokens, bool),
    }
    outputs = net(x)
    inner = keras.Model(net.inputs, net.outputs)
    assert outputs.shape == (SAMPLES, 3)
    model = SharpnessAwareModel(inner, "zsharp")
    model.compile(keras.optimizers.AdamW(1e-2), LOGITS)
    history = model.fit(x, np.arange(SAMPLES) % 3, epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]

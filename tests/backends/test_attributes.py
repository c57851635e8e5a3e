"""What users read and call on a `keras.Model` is about the network, in each way of training it."""

import importlib
import re

import keras
import numpy as np
import pytest

from keras_zsharp import (
    LookSAM,
    SharpnessAwareModel,
    SharpnessAwareTraining,
    sharpness_aware,
)

X, Y = np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32")
Y = Y[:, :1]


def layers():
    return [
        keras.layers.Dense(2, activation="tanh", kernel_regularizer="l2", name="hidden"),
        keras.layers.BatchNormalization(name="normal"),
        keras.layers.Dropout(0.5, seed=1, name="dropout"),
        keras.layers.Dense(1, name="head"),
    ]


class Subclass(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.normal, self.dropout, self.head = layers()

    def call(self, x, training=None):
        x = self.normal(self.hidden(x), training=training)
        return self.head(self.dropout(x, training=training))


class Mixed(SharpnessAwareTraining, Subclass):
    pass


def functional():
    x = inputs = keras.Input((3,), name="inputs")
    for layer in layers():
        x = layer(x)
    return keras.Model(inputs, x, name="net")


NETS = {
    "sequential": lambda: keras.Sequential(layers(), name="net"),
    "functional": functional,
    "subclass": lambda: Subclass(name="net"),
}
WAYS = {
    "wrapper": SharpnessAwareModel,
    "in_place": sharpness_aware,
    "mixin": lambda net, rule: Mixed(rule=rule, name=net.name),
}
CASES = [(net, way) for net in NETS for way in WAYS if way != "mixin" or net == "subclass"]


def prepared(model):
    """After an epoch of plain steps, from weights that are the same in each way."""
    model.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"], run_eagerly=True)
    model(X)
    random = np.random.default_rng(1)
    model.set_weights([random.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    model.fit(X, Y, verbose=0, batch_size=4, shuffle=False)
    return model


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def pair(request):
    net, way = request.param
    rule = LookSAM(rho=0.0)
    return prepared(NETS[net]()), prepared(WAYS[way](NETS[net](), rule)), way


ADDED = "variables", "non_trainable_variables", "metrics", "metrics_names", "metrics_variables"
"""A model's state has the rule's, and its metrics have `sharpness`."""


def values(model):
    return {
        name
        for name in {*dir(keras.Model), *vars(model)}
        if not name.startswith("_") and not callable(getattr(keras.Model, name, None))
    }


def of_the_plain(model, name, value):
    """Without what a sharpness-aware model adds, or as it is."""
    if name not in ADDED or not isinstance(model, SharpnessAwareTraining):
        return value
    tracker = model.sharpness_tracker
    ours = [*model.rule.variables, tracker, tracker.name, *tracker.variables]
    kept = [each for each in value if not any(each is our for our in ours)]
    assert len(kept) < len(value)
    return kept


def described(value):
    if isinstance(value, list | tuple):
        return [described(each) for each in value]
    if isinstance(value, dict):
        return {name: described(each) for name, each in value.items()}
    if isinstance(value, keras.Variable):
        return numbered_away(value.path), described(value.value)
    if isinstance(value, keras.KerasTensor):
        return value.shape, value.dtype
    if keras.ops.is_tensor(value) or isinstance(value, np.ndarray):
        return np.round(keras.ops.convert_to_numpy(value), 5).tolist()
    if isinstance(value, keras.Layer | keras.Metric):
        return type(value).__name__, value.name
    if isinstance(value, str):
        return numbered_away(value)
    return value if isinstance(value, int | float | set | None) else type(value).__name__


def numbered_away(name):
    return re.sub(r"_\d+", "", name)


def read(model, name):
    try:
        return described(of_the_plain(model, name, getattr(model, name)))
    except (AttributeError, ValueError, NotImplementedError) as error:
        return type(error).__name__


def test_every_attribute_is_that_of_the_network(pair):
    plain, ours, way = pair
    names = values(plain) - ({"name"} if way == "wrapper" else set())
    assert {n: read(ours, n) for n in names} == {n: read(plain, n) for n in names}


def printed(model):
    lines = []
    model.summary(print_fn=lambda text: lines.extend(text.splitlines()[1:]), line_length=100)
    return lines


def logged(model):
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    results = {n: v for n, v in model.get_metrics_result().items() if n != "sharpness"}
    return logs, results


def stateless(model):
    kinds = model.trainable_variables, model.non_trainable_variables
    outputs, _ = model.stateless_call(*([v.value for v in kind] for kind in kinds), X)
    return outputs


def stateless_loss(model):
    kinds = model.trainable_variables, model.non_trainable_variables, model.metrics_variables
    y, y_pred = keras.ops.array(Y), keras.ops.array(Y + 1)
    state = [[v.value for v in kind] for kind in kinds]
    return model.stateless_compute_loss(*state, x=X, y=y, y_pred=y_pred, sample_weight=None)[0]


def trained_on(model):
    model.train_on_batch(X, Y)
    return model.get_weights()


def quantized(model):
    model.quantize("int8")
    return [(w.dtype, np.abs(w).sum()) for w in model.weights], model.predict(X, verbose=0)


TENSOR = keras.ops.array(X)


def below_its_name(model):
    """The lines of Keras' summary, from 3.16 on."""
    return model.quantization_summary(verbose=False).splitlines()[1:]


CALLS = {
    "call": lambda m: m.call(TENSOR, training=False),
    "compute_loss": lambda m: m.compute_loss(X, TENSOR, TENSOR + 1),
    "compute_mask": lambda m: m.compute_mask(TENSOR, None),
    "compute_metrics": lambda m: set(m.compute_metrics(X, TENSOR, TENSOR)) - {"sharpness"},
    "compute_output_shape": lambda m: m.compute_output_shape((None, 3)),
    "compute_output_spec": lambda m: m.compute_output_spec(keras.KerasTensor((None, 3))),
    "count_params": lambda m: m.count_params(),
    "evaluate": lambda m: m.evaluate(X, Y, verbose=0),
    "get_compile_config": lambda m: m.get_compile_config()["loss"],
    "get_layer": lambda m: [m.get_layer("hidden"), m.get_layer(index=-1)],
    "get_metrics_result": logged,
    "get_quantization_layer_structure": lambda m: m.get_quantization_layer_structure("int8"),
    "get_weights": lambda m: m.get_weights(),
    "predict": lambda m: m.predict(X, verbose=0),
    "predict_on_batch": lambda m: m.predict_on_batch(X),
    "reset_metrics": lambda m: (m.reset_metrics(), m.get_metrics_result()["loss"]),
    "set_weights": lambda m: m.set_weights(m.get_weights()),
    "stateless_call": stateless,
    "stateless_compute_loss": stateless_loss,
    "quantization_summary": below_its_name,
    "summary": printed,
    "symbolic_call": lambda m: m.symbolic_call(keras.KerasTensor((None, 3))),
    "test_on_batch": lambda m: m.test_on_batch(X, Y),
    # What changes a model comes last.
    "train_on_batch": trained_on,
    "quantize": quantized,
}

OURS = {
    "build",
    "compile",
    "fit",
    "make_train_function",
    "train_step",
    "from_config",
    "get_build_config",
    "get_config",
    "to_json",
    "get_state_tree",
    "set_state_tree",
    "build_from_config",
    "compile_from_config",
    "load_own_variables",
    "load_weights",
    "save",
    "save_own_variables",
    "save_weights",
    "export",
}
"""Training, and what files have of a model: rule and options, too. Other tests are about these."""
OF_A_LAYER = {
    "add_loss",
    "add_metric",
    "add_variable",
    "add_weight",
    "quantized_build",
    "quantized_call",
    "rematerialized_call",
}
"""What a layer calls of itself."""
OF_A_TRAINER = {
    "compiled_loss",
    "compute_loss_and_updates",
    "jax_state_sync",
    "loss",
    "make_predict_function",
    "make_test_function",
    "predict_function",
    "predict_step",
    "state_sync",
    "test_function",
    "test_step",
    "train_function",
}
"""What Keras' trainer calls of itself."""


def of_pytorch():
    """PyTorch's modules within a model are the rule, too; a wrapper's are the model inside."""
    if keras.backend.backend() != "torch":
        return set()
    return set(dir(importlib.import_module("torch").nn.Module)) - {"compile"}


@pytest.mark.filterwarnings("ignore:.*(does not have a `quantize`|do not support quantization)")
def test_every_method_is_about_the_network(pair):
    plain, ours, _ = pair
    names = {name for name in {*dir(keras.Model), *vars(plain)} if not name.startswith("_")}
    left_out = OURS | OF_A_LAYER | OF_A_TRAINER | of_pytorch()
    calls = {name: call for name, call in CALLS.items() if hasattr(keras.Model, name)}
    assert names - values(plain) - left_out == set(calls)
    for name, call in calls.items():
        try:
            expected = call(plain)
        except NotImplementedError as error:
            with pytest.raises(type(error)):
                call(ours)
            continue
        received = call(ours)
        assert described(received) == described(expected), name


@pytest.mark.filterwarnings("ignore:.*does not have a `build")
@pytest.mark.parametrize(("net", "way"), CASES)
def test_it_is_built_from_a_shape(net, way):
    plain, ours = NETS[net](), WAYS[way](NETS[net](), "sam")
    for model in (plain, ours):
        model.build((None, 3))
    assert [w.path for w in ours.weights] == [w.path for w in plain.weights]
    assert ours.built == plain.built
    assert ours.get_build_config() == plain.get_build_config()


@pytest.mark.parametrize(("net", "way"), CASES)
def test_layers_can_be_frozen(net, way):
    model = WAYS[way](NETS[net](), "zsharp")
    model(X)
    before = dict(zip([w.path for w in model.weights], model.get_weights(), strict=True))
    for layer in model.layers[:-1]:
        layer.trainable = False
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    model.fit(X, Y, verbose=0)
    moved = [w.path.split("/")[-2] for w in model.weights if (w.numpy() != before[w.path]).any()]
    assert moved == ["head", "head"]


@pytest.mark.parametrize(("net", "way"), CASES)
def test_the_best_weights_are_put_back_and_the_rule_stays(net, way):
    """`EarlyStopping` puts back what `get_weights` returned some epochs ago."""
    rule = LookSAM(rho=0.1, every=3)
    model = WAYS[way](NETS[net](), rule)
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    best, directions = [], []

    def at_the_end(epoch, logs):
        rule.rho = 0.2 + epoch
        logs["rated"] = abs(epoch - 1)
        if epoch == 1:
            best.extend(w.copy() for w in model.get_weights())
        directions.append([np.array(v) for v in map(keras.ops.convert_to_numpy, rule.variables)])

    stopping = keras.callbacks.EarlyStopping(
        "rated", mode="min", patience=2, restore_best_weights=True
    )
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=at_the_end), stopping]
    model.fit(X, Y, epochs=9, batch_size=4, callbacks=callbacks, verbose=0)
    assert rule.rho == pytest.approx(3.2)
    assert int(model.optimizer.iterations) == 8
    plain = NETS[net]()
    plain(X)
    plain.set_weights(model.get_weights())
    assert described(plain.get_weights()) == described(best)
    assert described(rule.variables) == described_as(rule.variables, directions[-1])


def described_as(variables, values):
    return [(described(v)[0], described(value)) for v, value in zip(variables, values, strict=True)]

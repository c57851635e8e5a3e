"""The wrapper as users meet it: what it takes, what it hands on, what it refuses."""

import contextlib
import itertools
import re

import keras
import numpy as np
import pytest
from keras import layers

from keras_zsharp import (
    SAM,
    SharpnessAwareModel,
    SharpnessAwareTraining,
    rules,
    sharpness_aware,
)
from keras_zsharp import backend as here
from keras_zsharp.keras_internals import tracking
from tests.still import still
from tests.tiers import crossed
from tests.training.cases import BACKEND, CASES, Subclassed, assert_same

X, Y = np.random.default_rng(0).normal(size=(12, 5)).astype("float32"), np.ones((12, 1), "float32")


def dense():
    return keras.Sequential([keras.Input((5,)), layers.Dense(1)])


class OfTheMixin(SharpnessAwareTraining, keras.Model):
    pass


@pytest.mark.parametrize(
    "make",
    [lambda: SharpnessAwareModel(dense()), lambda: sharpness_aware(dense()), OfTheMixin],
    ids=["wrapped", "in_place", "mixin"],
)
def test_there_is_no_rule_by_default(make):
    with pytest.raises(TypeError, match="'sam' to begin with, 'zsharp' for the method of the pap"):
        make()


def test_shares_weights_with_the_model_inside():
    net = dense()
    model = SharpnessAwareModel(net, "sam")
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    assert model.model is net
    assert [id(v) for v in model.trainable_variables] == [id(v) for v in net.trainable_variables]
    np.testing.assert_array_equal(model.predict(X, verbose=0), net.predict(X, verbose=0))


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return 3

    def __getitem__(self, index):
        part = slice(4 * index, 4 * index + 4)
        return self.x[part], tuple(y[part] for y in self.y)


def test_everything_around_fit(tmp_path):
    case = CASES["two_outputs"]
    model = SharpnessAwareModel(case.build(), "zsharp")
    model.compile("adamw", case.loss, metrics={"kind": ["accuracy"], "size": ["mae"]})
    data = Batches(case.x, case.y)
    boards = [keras.callbacks.TensorBoard(tmp_path / "board")] if BACKEND == "tensorflow" else []
    history = model.fit(
        data,
        epochs=4,
        validation_data=data,
        callbacks=[
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            *boards,
            keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="val_loss"),
            keras.callbacks.ReduceLROnPlateau(
                monitor="sharpness", mode="min", patience=1, min_delta=1e9
            ),
            keras.callbacks.EarlyStopping(monitor="loss", patience=3),
        ],
        verbose=2,
    ).history
    assert len(history["sharpness"]) == 4
    assert history["learning_rate"][-1] < history["learning_rate"][0]
    assert {"kind_accuracy", "size_mae", "kind_loss", "val_size_loss"} < set(history)
    assert "val_sharpness" not in history
    assert "sharpness" in (tmp_path / "log.csv").read_text()
    assert keras.saving.load_model(tmp_path / "best.keras").predict(case.x, verbose=0)[0].shape == (
        12,
        3,
    )
    assert len(model.evaluate(data, verbose=0)) == 5


def test_summary_of_wrapper_and_rule(capsys):
    model = SharpnessAwareModel(dense(), "sam", name="trainer")
    model.summary(print_fn=print)
    printed = capsys.readouterr().out
    assert "trainer" in printed
    assert "Trainable params: 6" in printed


def test_masks_reach_the_loss():
    case = CASES["embedding_lstm"]
    wrapped, plain = SharpnessAwareModel(case.build(), "sam"), case.build()
    plain.set_weights(wrapped.model.get_weights())
    losses = []
    for model in (wrapped, plain):
        model.compile("sgd", case.loss)
        losses.append(float(model.evaluate(case.x, case.y, verbose=0)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def refuse(error, message, make):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        make()


def test_model_is_no_model():
    layer = layers.Dense(1)
    refuse(
        TypeError,
        f"`model` must be a keras.Model. Received: model={layer!r}",
        lambda: SharpnessAwareModel(layer),
    )


def test_rule_given_twice():
    model = SharpnessAwareModel(dense(), "sam", name="inner")
    refuse(
        ValueError,
        "`model` must not be sharpness-aware already: one step, one perturbation. "
        "Received: model='inner' with SAM",
        lambda: SharpnessAwareModel(model, "zsharp"),
    )
    with pytest.raises(TypeError, match="multiple values for argument 'rule'"):
        SharpnessAwareModel(dense(), SAM(), rule=SAM())


def test_rule_of_another_model():
    rule = SAM(name="mine")
    owner = SharpnessAwareModel(dense(), rule, name="first")
    refuse(
        ValueError,
        "`rule` must not belong to another model: 'mine' belongs to 'first'. "
        "Make a new one: SAM.from_config(rule.get_config())",
        lambda: SharpnessAwareModel(dense(), rule),
    )
    assert owner.rule is rule


def test_unknown_rule():
    refuse(
        ValueError,
        f"`rule` must be one of {', '.join(map(repr, rules.RULES))}. Received: rule='flat'",
        lambda: SharpnessAwareModel(dense(), "flat"),
    )


def without_weights():
    return keras.Sequential([keras.Input((5,)), layers.Rescaling(0.5)])


def frozen():
    net = keras.Sequential([keras.Input((5,)), layers.BatchNormalization(), layers.Dense(1)])
    net.trainable = False
    return net


def with_statistics():
    parts = [layers.BatchNormalization(center=False, scale=False), layers.Dropout(0.5)]
    return keras.Sequential([keras.Input((5,)), *parts])


def without_weights_said():
    if BACKEND == "jax":  # Its trainer does not warn.
        return contextlib.nullcontext()
    return pytest.warns(UserWarning, match="does not have any trainable weights")


@pytest.mark.parametrize("mode", crossed(["eager", "graph"], default=["graph"]))
@pytest.mark.parametrize("parts", crossed([1, 2], default=[2]))
@pytest.mark.parametrize("make", [frozen, without_weights, with_statistics])
def test_no_trainable_weights(make, parts, mode):
    """As in plain Keras: a warning, and statistics that move."""
    ends, options = [], {"micro_batches": parts, "perturb_every": parts}
    for wrap in (lambda net: net, lambda net: SharpnessAwareModel(net, "zsharp", **options)):
        keras.utils.set_random_seed(0)
        net = make()
        model = wrap(net)
        model.compile("sgd", "mse", run_eagerly=mode == "eager")
        with without_weights_said():
            logs = model.fit(X, Y, epochs=2, verbose=0).history
        assert logs.pop("sharpness", [0, 0]) == [0, 0]
        ends.append([*logs.values(), *net.get_weights()])
    for plain, ours in zip(*ends, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-6)


SAID_WITHOUT_GRADIENTS = {
    "tensorflow": (ValueError, "No gradients provided for any variable"),
    "torch": (RuntimeError, "does not require grad"),
}.get(BACKEND)


@pytest.mark.skipif(BACKEND == "jax", reason="JAX has gradients of 0")
@pytest.mark.parametrize("optimizer", ["sgd", "scaled"])
def test_a_loss_that_depends_on_no_weight(optimizer):
    """What plain Keras says, also where the loss is scaled."""
    for wrap in (lambda net: net, lambda net: SharpnessAwareModel(net, "zsharp")):
        model, inner = wrap(dense()), keras.optimizers.SGD()
        model.compile(
            keras.optimizers.LossScaleOptimizer(inner) if optimizer == "scaled" else inner,
            lambda y, y_pred: keras.ops.square(y),
        )
        error, said = SAID_WITHOUT_GRADIENTS
        with pytest.raises(error, match=said):
            model.train_on_batch(X, Y)


def test_a_model_of_keras_2():
    tf_keras = type("Model", (), {"__module__": "tf_keras.src.engine.training"})
    net = type("Sequential", (tf_keras,), {"__module__": "mine"})()
    with pytest.raises(TypeError, match=r"a model of Keras 2: build it with `import keras`$"):
        SharpnessAwareModel(net)


def test_fit_before_compile():
    refuse(
        ValueError,
        "You must call `compile()` before using the model.",
        lambda: SharpnessAwareModel(dense(), "sam").fit(X, Y),
    )


TRAINING = sorted(tracking.training_methods())


def test_the_training_interface_is_that_of_keras():
    """And Keras' own kinds of models override nothing of it."""
    known = "train_step test_step predict_step fit evaluate predict compile metrics compute_loss"
    others = "reset_metrics get_metrics_result make_train_function compile_from_config"
    assert {*known.split(), *others.split()} <= set(TRAINING)
    for case in CASES.values():
        assert SharpnessAwareModel(case.build(), "sam")


@pytest.mark.parametrize("method", TRAINING)
def test_model_with_a_method_that_a_wrapper_would_not_call(method):
    own = type("Own", (Subclassed,), {method: lambda self, *args, **kwargs: None})
    advice = "Make the model sharpness-aware in place: keras_zsharp.sharpness_aware(model, rule)"
    message = f"`model` must not override `{method}`, which a wrapper would not call. {advice}"
    if method == "train_step":
        message = (
            "`model` must not override `train_step`, which would not be called. Override "
            "`compute_loss` instead, with the loss that the step computes, and make the model "
            "sharpness-aware in place: keras_zsharp.sharpness_aware(model, rule)"
        )
    net = own.__new__(own)
    refuse(ValueError, message, lambda: SharpnessAwareModel(net))


class TwoInputs(keras.Model):
    """With inputs, masks, an attribute and a method of its own."""

    def __init__(self):
        super().__init__()
        self.dense, self.factor = layers.Dense(1), 1.0

    def call(self, inputs, more=None, mask=None):
        outputs = self.factor * self.dense(inputs)
        outputs = outputs if more is None else outputs + more
        return outputs if mask is None else outputs * keras.ops.cast(mask, outputs.dtype)

    def doubled(self):
        return 2 * self.factor


def test_wrapper_has_what_a_functional_model_has():
    inputs = keras.Input((5,))
    net = keras.Model(inputs, layers.Dense(1, name="head")(inputs))
    model = SharpnessAwareModel(net, "sam")
    for name in ("inputs", "outputs", "input", "output", "input_shape", "output_shape"):
        assert getattr(model, name) is getattr(net, name) or name.endswith("shape")
    assert (model.input_shape, model.output_shape) == ((None, 5), (None, 1))
    assert model.get_layer("head") is model.get_layer(index=1) is net.layers[1]
    inner = keras.Model(model.inputs, model.get_layer("head").output)
    assert_same([inner(X)], [net(X)])


def test_wrapper_takes_the_inputs_of_the_model():
    net = TwoInputs()
    model = SharpnessAwareModel(net, "sam")
    mask = np.arange(len(X))[:, None] % 2 == 0
    for positional, named in (((X, Y), {}), ((X,), {"more": Y}), ((X,), {"mask": mask})):
        assert_same([model(*positional, **named)], [net(*positional, **named)])
    with pytest.raises(TypeError, match="unknown"):
        model(X, unknown=1)


class Noisy(keras.Model):
    """Its class decides whether `call` knows `training`, its layers differ by it."""

    def __init__(self):
        super().__init__()
        noise = [layers.Dropout(0.5, seed=1), layers.BatchNormalization()]
        self.parts = [layers.Dense(4), *noise, layers.Dense(1)]

    def run(self, x):
        for part in self.parts:
            x = part(x)
        return x


class WithoutTraining(Noisy):
    """Plain Keras trains it without dropout."""

    def call(self, inputs):
        return self.run(inputs)


class WithOthers(Noisy):
    def call(self, inputs, **kwargs):
        return self.run(inputs)


class WithADefault(Noisy):
    def call(self, inputs, training=False):
        return self.run(inputs)


@pytest.mark.parametrize(
    ("make", "mode"),
    crossed(
        itertools.product((WithoutTraining, WithOthers, WithADefault), ("eager", "graph")),
        default=[(WithADefault, "graph"), (WithOthers, "graph")],
    ),
)
def test_trains_in_the_phase_that_plain_keras_trains_in(make, mode):
    def end(way, *rule):
        keras.utils.set_random_seed(0)
        net = make()
        model = way(net, *rule)
        model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=mode == "eager")
        history = model.fit(X, X[:, :1], epochs=3, verbose=0, shuffle=False).history
        evaluated = model.evaluate(X, X[:, :1], verbose=0, return_dict=True)["loss"]
        return [keras.ops.convert_to_numpy(net(X)), np.array([*history["loss"], evaluated])]

    expected = end(lambda net: net)
    for way in (SharpnessAwareModel, sharpness_aware):
        for got, plain in zip(end(way, still()), expected, strict=True):
            np.testing.assert_allclose(got, plain, rtol=1e-5, atol=1e-6)


def test_wrapper_has_what_is_the_models_own():
    net = TwoInputs()
    model = SharpnessAwareModel(net, "sam")
    model.factor = 3.0
    assert (net.factor, model.factor, model.doubled()) == (3.0, 3.0, 6.0)
    model.mine = 1
    assert not hasattr(net, "mine")
    with pytest.raises(AttributeError, match="nothing"):
        _ = model.nothing


class Counting(keras.Model):
    """Has metrics of its own, which its `call` updates."""

    def __init__(self):
        super().__init__()
        self.dense, self.size = layers.Dense(1), keras.metrics.Mean(name="size")

    def call(self, inputs):
        outputs = self.dense(inputs)
        self.size.update_state(keras.ops.mean(keras.ops.abs(outputs)))
        return outputs


@pytest.mark.skipif(BACKEND == "jax", reason="Keras' layers update no metrics on JAX")
@pytest.mark.parametrize("mode", crossed(["eager", "graph"], default=["graph"]))
def test_wrapper_logs_the_metrics_of_the_model(mode):
    def logs(way, *rule):
        keras.utils.set_random_seed(0)
        model = way(Counting(), *rule)
        model.compile("sgd", "mse", metrics=["mae"], run_eagerly=mode == "eager")
        data = {"batch_size": 4, "validation_data": (X, Y), "shuffle": False, "verbose": 0}
        history = model.fit(X, Y, epochs=2, **data).history
        history.pop("sharpness", None)
        return history

    expected = logs(lambda net: net)
    assert {"size", "val_size"} < set(expected)
    for way in (SharpnessAwareModel, sharpness_aware):
        found = logs(way, still())
        assert set(found) == set(expected)
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-5)


def test_wrapper_is_trained_by_itself():
    """What `compile` and `fit` leave on the model inside is not the wrapper's."""
    net = dense()
    net.compile("sgd", "mse")
    net.fit(X, Y, verbose=0)
    optimizer, history = net.optimizer, net.history
    model = SharpnessAwareModel(net, "sam")
    assert not hasattr(model, "optimizer")
    assert not hasattr(model, "history")
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    assert (net.optimizer, net.history) == (optimizer, history)
    assert model.optimizer is not optimizer


def test_mixin_honours_own_loss_and_metrics():
    class Own(SharpnessAwareTraining, Subclassed.__base__):
        def __init__(self):
            super().__init__(rule="sam")
            self.dense = layers.Dense(1)

        def call(self, inputs):
            return self.dense(inputs)

        def compute_loss(self, x, y, y_pred, sample_weight):
            return 3.0 + 0.0 * keras.ops.mean(y_pred)

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            return {**super().compute_metrics(x, y, y_pred, sample_weight), "mine": 7.0}

    model = Own()
    model.compile("sgd")
    logs = model.train_on_batch(X, Y, return_dict=True)
    assert (logs["loss"], logs["mine"]) == (3.0, 7.0)


def test_functional_construction_of_a_mixin():
    class Net(SharpnessAwareTraining, keras.Model):
        pass

    inputs = keras.Input((5,))
    outputs = layers.Dense(1)(inputs)
    message = (
        "`Net` cannot be constructed functionally. Build `keras.Model(inputs, outputs)` and wrap "
        "it in `SharpnessAwareModel`."
    )
    refuse(TypeError, message, lambda: Net(inputs, outputs))
    refuse(TypeError, message, lambda: Net(inputs=inputs, outputs=outputs))


def test_mixin_after_keras_model():
    message = (
        "`SharpnessAwareTraining` must come before `keras.Model` in the bases of `Net`: "
        "class Net(SharpnessAwareTraining, keras.Model)"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):

        class Net(keras.Model, SharpnessAwareTraining):
            pass


def test_other_backend(monkeypatch):
    monkeypatch.setattr(here, "NAME", "numpy")
    refuse(
        ImportError,
        "keras_zsharp trains on Keras' backends tensorflow, jax, torch. Set KERAS_BACKEND to one "
        "of them before importing keras. Received: backend 'numpy'",
        lambda: here.room("passes"),
    )

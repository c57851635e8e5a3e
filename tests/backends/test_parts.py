"""A batch that is cut trains as the whole batch in plain Keras, or it is refused in words."""

import contextlib
import inspect

import keras
import numpy as np
import pytest
from keras import layers, losses, ops

from keras_zsharp import SharpnessAwareModel, sharpness_aware
from keras_zsharp.keras_internals.calling import AVERAGES_ACTIVITY
from keras_zsharp.training import parts
from tests.backends import networks
from tests.still import still

EXAMPLES = 7
EAGERLY = keras.backend.backend() == "tensorflow"
"""Each model takes a step or two."""
RANDOM = np.random.default_rng(0)
X, TARGETS = (RANDOM.normal(size=(EXAMPLES, n)).astype("float32") for n in (5, 3))
CLASSES, WEIGHTS = np.arange(EXAMPLES) % 3, np.linspace(0, 2, EXAMPLES)
MEAN_SQUARED = losses.MeanSquaredError


# Before Keras 3.14, that of an activity is a sum.
AVERAGED = {"activity_regularizer": "l2"} if AVERAGES_ACTIVITY else {}


def net(*more):
    keras.utils.set_random_seed(0)
    first = layers.Dense(4, "tanh", kernel_regularizer="l2", **AVERAGED)
    return keras.Sequential([keras.Input((5,)), first, *more, layers.Dense(3)])


class AddsLoss(layers.Layer):
    def call(self, inputs):
        self.add_loss(ops.sum(inputs**2))
        return inputs


class OwnLoss(keras.Sequential):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.sum(ops.subtract(y, y_pred) ** 2)


class OwnClass(losses.Loss):
    def call(self, y_true, y_pred):
        return ops.sum((y_true - y_pred) ** 2)


def own_function(y_true, y_pred):
    return ops.sum((y_true - y_pred) ** 2)


def two_outputs():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5,))
    return keras.Model(inputs, {n: layers.Dense(3, name=n)(inputs) for n in ("a", "b")})


def masked():
    keras.utils.set_random_seed(0)
    words = [keras.Input((4,)), layers.Embedding(5, 3, mask_zero=True)]
    return keras.Sequential([*words, layers.Dense(3)])


WORDS = (np.arange(4) < 1 + np.arange(EXAMPLES)[:, None] % 4).astype("int32")
SERVED = {
    "string": (net, "mse", X, TARGETS),
    "sum_over_batch_size": (net, MEAN_SQUARED(), X, TARGETS),
    "mean": (net, MEAN_SQUARED(reduction="mean"), X, TARGETS),
    "sample weights": (net, "mse", X, TARGETS, WEIGHTS),
    "no sample weights": (net, MEAN_SQUARED(reduction="mean_with_sample_weight"), X, TARGETS),
    "axis of the outputs": (net, losses.CosineSimilarity(axis=1), X, TARGETS),
    "axes of the outputs": (net, losses.Dice(axis=(1,)), X, np.abs(TARGETS)),
    "outputs": (two_outputs, {"a": "mse", "b": "mae"}, X, {"a": TARGETS, "b": -TARGETS}),
}
REFUSED = {
    "reduction='sum'": (net, MEAN_SQUARED(reduction="sum"), X, TARGETS),
    "reduction=None": (two_outputs, MEAN_SQUARED(reduction=None), X, {"a": TARGETS, "b": TARGETS}),
    "sample weights": (
        *(net, MEAN_SQUARED(reduction="mean_with_sample_weight"), X, TARGETS, WEIGHTS),
    ),
    "axis=0": (net, losses.CosineSimilarity(axis=0), X, TARGETS),
    "axis=-2": (net, losses.CategoricalCrossentropy(axis=-2), X, np.abs(TARGETS)),
    "axis=None": (net, losses.Dice(), X, np.abs(TARGETS)),
    "not Keras' own": (net, OwnClass(), X, TARGETS),
    "'own_function', which is not": (net, own_function, X, TARGETS),
    "add by `add_loss`": (lambda: net(AddsLoss()), "mse", X, TARGETS),
    "that .* by `add_loss`": (lambda: net(AddsLoss()), None, X, TARGETS),
    "with a mask": (masked, "mse", WORDS, RANDOM.normal(size=(EXAMPLES, 4, 3)).astype("float32")),
    "`compute_loss` overridden": (lambda: OwnLoss(net().layers), "mse", X, TARGETS),
    "of its outputs .*'sum'|reduction='sum'": (
        *(two_outputs, {"a": "mse", "b": MEAN_SQUARED(reduction="sum")}),
        *(X, {"a": TARGETS, "b": -TARGETS}),
    ),
}


def step(model, loss, *batch):
    model.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=EAGERLY)
    model.train_on_batch(*batch)
    return networks.copied(model.trainable_variables)


def assert_close(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", SERVED)
def test_losses_that_are_means(name):
    make, *given = SERVED[name]
    ours = step(SharpnessAwareModel(make(), still(), micro_batches=2), *given)
    assert_close(ours, step(make(), *given))


if not AVERAGES_ACTIVITY:
    REFUSED["activity_regularization.* by `add_loss`"] = (
        *(lambda: net(layers.ActivityRegularization(l2=0.1)), "mse", X, TARGETS),
    )


@pytest.mark.parametrize("reason", REFUSED)
def test_losses_that_may_be_none(reason):
    make, *given = REFUSED[reason]
    model = sharpness_aware(make(), still(), micro_batches=2)
    before = networks.copied(model.trainable_variables)
    with pytest.raises(ValueError, match=f"`mean_of_parts` must be True .*(?:{reason})"):
        step(model, *given)
    assert_close(networks.copied(model.trainable_variables), before)
    if reason != "reduction=None":
        model.mean_of_parts = True
        step(model, *given)


OWN_LOSSES = {
    name: kind
    for name, kind in inspect.getmembers(losses, inspect.isclass)
    if issubclass(kind, losses.Loss) and kind not in (losses.Loss, losses.CTC)
}


@pytest.mark.parametrize("name", OWN_LOSSES)
def test_every_loss_of_keras(name):
    """It is the mean over the parts of a batch, or refused: also one of a new version of Keras."""
    loss, predicted = OWN_LOSSES[name](), ops.convert_to_tensor(np.abs(TARGETS))
    of_classes = "Sparse", "Circle", "Generalized"
    values = CLASSES if any(word in name for word in of_classes) else np.eye(3)[CLASSES]
    whole, first, second = (
        float(ops.convert_to_numpy(loss(values[part], predicted[part])))
        for part in (slice(None), slice(3), slice(3, None))
    )
    is_mean = whole == pytest.approx((3 * first + 4 * second) / 7, rel=1e-4)
    model = SharpnessAwareModel(net(), "sam", micro_batches=2)
    message = f"the loss '{loss.name}'.* (batch as a whole|the batch's axis)"
    refused = pytest.raises(ValueError, match=message)
    with contextlib.nullcontext() if is_mean else refused:
        model.compile("sgd", loss)
        model.compute_loss(X, ops.convert_to_tensor(values), predicted)
        parts.check_pass(model, predicted, None, [])


class Memory(keras.Model):
    """Reads from a bank that belongs to all examples."""

    def __init__(self):
        super().__init__()
        self.query, self.head = layers.Dense(4), layers.Dense(3)

    def call(self, inputs):
        bank = inputs["bank"]
        attention = ops.softmax(ops.matmul(self.query(inputs["x"]), ops.transpose(bank)))
        return self.head(ops.matmul(attention, bank))


def memory():
    keras.utils.set_random_seed(0)
    model = Memory()
    model({"x": X, "bank": X[:, :4]})
    return model


@pytest.mark.parametrize("rows", [EXAMPLES, 4])
def test_a_bank_is_cut_at_no_length(rows):
    batch = {"x": X, "bank": RANDOM.normal(size=(rows, 4)).astype("float32")}, TARGETS
    model = SharpnessAwareModel(memory(), still(), micro_batches=2)
    with pytest.raises(ValueError, match=r"`batched_inputs` must be \"all\" or name .*x\['bank'\]"):
        step(model, "mse", *batch)
    ours = SharpnessAwareModel(memory(), still(), micro_batches=2, batched_inputs=["x"])
    assert_close(step(ours, "mse", *batch), step(memory(), "mse", *batch))


def added():
    keras.utils.set_random_seed(0)
    inputs = [keras.Input((5,), name="a"), keras.Input((3,), name="b")]
    return keras.Model(inputs, layers.Dense(3)(layers.Concatenate()(inputs)))


def test_several_inputs_of_examples_are_cut():
    x, ends = [X, TARGETS], []
    for options in ({"batched_inputs": "all"}, {"batched_inputs": [0, 1]}):
        model = SharpnessAwareModel(added(), still(), micro_batches=2, **options)
        ends.append(step(model, "mse", x, TARGETS))
    for end in ends:
        assert_close(end, step(added(), "mse", x, TARGETS))


def test_arrays_that_fit_cuts_are_examples_and_other_data_are_not_known():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return (X, TARGETS), TARGETS

    ours, plain = SharpnessAwareModel(added(), still(), micro_batches=2), added()
    for model in (ours, plain):
        model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=EAGERLY)
        model.fit([X, TARGETS], TARGETS, batch_size=EXAMPLES, shuffle=False, verbose=0)
    assert_close(*(networks.copied(m.trainable_variables) for m in (ours, plain)))
    with pytest.raises(ValueError, match="`batched_inputs` must be"):
        ours.train_on_batch([X, TARGETS], TARGETS)
    ours.fit([X, TARGETS], TARGETS, batch_size=EXAMPLES, verbose=0)
    with pytest.raises(ValueError, match="`batched_inputs` must be"):
        ours.fit(Batches(), verbose=0)


@pytest.mark.parametrize("names", [["x", "c"], ["z"], ["bank", "x", "y"]])
def test_names_of_no_input_are_refused(names):
    batch = {"x": X, "bank": X[:, :4]}, TARGETS
    model = SharpnessAwareModel(memory(), "sam", micro_batches=2, batched_inputs=names)
    with pytest.raises(ValueError, match="`batched_inputs` must name inputs of the model"):
        step(model, "mse", *batch)


def test_lengths_that_differ_are_refused():
    model = SharpnessAwareModel(memory(), "sam", micro_batches=2, batched_inputs="all")
    with pytest.raises(ValueError, match=r"`batched_inputs` must name .*'x\['bank'\]\": 4|: 4"):
        step(model, "mse", {"x": X, "bank": X[:4, :4]}, TARGETS)
    for wrong in ("x", 1, [], [2.5], {"x"}):
        with pytest.raises(TypeError, match="`batched_inputs` must be None"):
            model.batched_inputs = wrong
    assert model.batched_inputs == "all"


class Counts(layers.Layer):
    """Counts examples, as parts of a batch do together if the variable says so."""

    def __init__(self, aggregation):
        super().__init__()
        self.count = self.add_weight(
            shape=(), initializer="zeros", trainable=False, aggregation=aggregation
        )

    def call(self, inputs):
        self.count.assign_add(ops.cast(ops.shape(inputs)[0], "float32"))
        return inputs


def test_state_of_a_layer_says_how_its_parts_are_put_together():
    layer = Counts("sum")
    step(SharpnessAwareModel(net(layer), "sam", micro_batches=2), "mse", X, TARGETS)
    assert float(ops.convert_to_numpy(layer.count)) == EXAMPLES
    layer = Counts("none")
    model = SharpnessAwareModel(net(layer), "sam", micro_batches=2)
    with pytest.raises(ValueError, match=r"must say how the parts .* micro_batches=2 .*'none'"):
        step(model, "mse", X, TARGETS)
    assert float(ops.convert_to_numpy(layer.count)) == 0


def test_known_state_needs_no_word():
    known = [layers.BatchNormalization(), layers.Dropout(0.5), layers.GaussianNoise(0.1)]
    known.append(layers.SpectralNormalization(layers.Dense(3)))
    step(SharpnessAwareModel(net(*known), "sam", micro_batches=2), "mse", X, TARGETS)


@pytest.mark.parametrize("kind", [layers.GRU, layers.LSTM, layers.SimpleRNN])
def test_stateful_layers_are_refused(kind):
    inputs = keras.Input(batch_shape=(EXAMPLES, 5, 1))
    model = keras.Model(inputs, kind(3, stateful=True)(inputs))
    model = SharpnessAwareModel(model, "sam", micro_batches=2)
    with pytest.raises(ValueError, match=r"must not be `stateful`.* where micro_batches=2"):
        step(model, "mse", X[..., None], TARGETS)
    model.micro_batches = 1
    step(model, "mse", X[..., None], TARGETS)


class Predicting(keras.Model):
    """Besides its predictions it returns something else."""

    def __init__(self, more):
        super().__init__()
        keras.utils.set_random_seed(0)
        self.dense, self.more = layers.Dense(3), more

    def call(self, inputs):
        outputs = self.dense(inputs)
        return {"y": outputs, "more": self.more(outputs)}

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return self.get_metrics_result()


@pytest.mark.parametrize("options", [{}, {"micro_batches": 2}])
def test_a_model_may_predict_none(options):
    def make():
        return Predicting(lambda outputs: None)

    given = {"y": "mse"}, X, {"y": TARGETS}
    own = sharpness_aware(make(), still(), **options)
    assert_close(step(own, *given), step(make(), *given))


@pytest.mark.parametrize(
    "more", [ops.mean, lambda outputs: ops.reshape(outputs, (-1,)), lambda outputs: outputs[:1]]
)
def test_predictions_that_cannot_be_joined_are_refused(more):
    model = sharpness_aware(Predicting(more), "sam", micro_batches=2)
    with pytest.raises(ValueError, match=r"in each row.*micro_batches=2.*with the shapes \["):
        step(model, {"y": "mse"}, X, {"y": TARGETS})

"""What `batched_inputs` names is cut. All other inputs go to every micro-batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from keras_zsharp import SAM, SharpnessAwareModel
from tests.still import still
from tests.tiers import crossed
from tests.training.cases import MODES, OUTSIDE_XLA, normal

EXAMPLES, BANK = 6, 9


class Memory(keras.Model):
    """Reads from a bank that belongs to all examples, and scales by a number."""

    def __init__(self, bank):
        super().__init__()
        self.bank, self.query, self.head = bank, layers.Dense(4), layers.Dense(1)

    def call(self, inputs):
        bank, scale = inputs[self.bank], inputs["z"]
        attention = ops.softmax(ops.matmul(self.query(inputs["x"]), ops.transpose(bank)))
        return scale * self.head(ops.matmul(attention, bank))


def batches(bank, known=True):
    """Two of six examples each, with a bank that is not cut; its length may be `known`."""
    x, y, rows = normal(5), normal(1), np.random.default_rng(0).normal(size=(BANK, 4))

    def generate():
        for begin in (0, EXAMPLES):
            part = slice(begin, begin + EXAMPLES)
            yield {"x": x[part], bank: rows.astype("float32"), "z": np.float32(0.5)}, y[part]

    specs = {
        "x": tf.TensorSpec((None, 5)),
        bank: tf.TensorSpec((BANK if known else None, 4)),
        "z": tf.TensorSpec(()),
    }
    signature = (specs, tf.TensorSpec((None, 1)))
    return tf.data.Dataset.from_generator(generate, output_signature=signature)


@pytest.mark.parametrize("mode", crossed(OUTSIDE_XLA, default=["graph"]))
@pytest.mark.parametrize("bank", ["bank", "y"])
def test_a_bank_belongs_to_every_micro_batch(bank, mode):
    """Before x or after it: without a radius, the micro-batches step as the whole batch."""
    ends = []
    for micro_batches in (None, 1, 3):
        keras.utils.set_random_seed(0)
        net, data = Memory(bank), batches(bank)
        net(next(iter(data))[0])
        model = net
        if micro_batches:
            options = {"micro_batches": micro_batches, "batched_inputs": ["x"]}
            model = SharpnessAwareModel(net, still(), **options)
        model.compile(keras.optimizers.SGD(0.1), "mse", **MODES[mode])
        model.fit(data, verbose=0)
        ends.append(net.get_weights())
    for other in ends[1:]:
        for ours, plain in zip(other, ends[0], strict=True):
            np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-6)


def test_a_length_that_the_graph_does_not_know_is_checked():
    net, data = Memory("bank"), batches("bank", known=False)
    net(next(iter(data))[0])
    model = SharpnessAwareModel(net, "sam", micro_batches=2, batched_inputs=["x", "bank"])
    model.compile("sgd", "mse")
    before = net.get_weights()
    with pytest.raises(tf.errors.InvalidArgumentError, match="an example in each row of the batch"):
        model.fit(data, verbose=0)
    for ours, old in zip(net.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, old)


def test_without_targets_inputs_must_have_one_length():
    class Own(Memory):
        def call(self, inputs):
            self.add_loss(ops.mean(ops.square(super().call(inputs))))
            return inputs["x"]

    net, data = Own("bank"), batches("bank").map(lambda x, y: x)
    model = SharpnessAwareModel(net, "sam", micro_batches=2, batched_inputs="all")
    model.compile("sgd", run_eagerly=True)
    with pytest.raises(ValueError, match=r"must name the inputs .*\['bank'\]\": 9"):
        model.fit(data, verbose=0)


def test_sparse_tensors_are_refused():
    inputs = keras.Input((5,), sparse=True)
    net = keras.Model(inputs, layers.Dense(1)(inputs))
    x = tf.sparse.from_dense(np.eye(6, 5, dtype="float32"))
    for micro_batches in (1, 2):
        model = SharpnessAwareModel(net, SAM(), micro_batches=micro_batches)
        model.compile("sgd", "mse")
        if micro_batches == 1:
            assert np.isfinite(model.train_on_batch(x, np.ones((6, 1))))[0].all()
        else:
            with pytest.raises(TypeError, match=r"must be 1 for sparse tensors.* in x$"):
                model.train_on_batch(x, np.ones((6, 1)))

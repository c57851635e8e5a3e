"""Training on two devices that JAX is told to find, compared with training on one.

A program of `test_devices.py`: JAX must be told before it starts. Prints a line of JSON.
"""

import functools
import json

import keras
import numpy as np

from keras_zsharp import SharpnessAwareModel
from tests.backends import networks, test_parts
from tests.still import still

DEVICES = ["cpu:0", "cpu:1"]


def weights_after(rule, dropout=0.0, arguments=None, **options):
    """Weights and averages after ten steps; BatchNormalization's statistics come last."""
    rule = networks.rule_of(rule, **(arguments or {}))
    model = SharpnessAwareModel(networks.network(dropout=dropout), rule, **options)
    networks.compiled(model)
    networks.trained(model, examples=10 * networks.BATCH)
    kinds = model.model.trainable_weights, model.rule.variables
    trained = networks.flat(networks.copied([v for kind in kinds for v in kind]))
    return trained, networks.flat(networks.copied(model.model.non_trainable_weights))


def first_of_shares(data, size, shares, first):
    """The examples of each batch in another order: the first of each share, and then the others."""
    rows = np.arange(len(data[0])).reshape(-1, shares, size // shares)
    rows = [rows[:, :, :first].reshape(len(rows), -1), rows[:, :, first:].reshape(len(rows), -1)]
    return [x[np.concatenate(rows, axis=1).ravel()] for x in data]


def weights_of_halves(in_order=lambda data: data):
    """Weights after five steps whose clean pass takes half of each batch."""
    model = SharpnessAwareModel(networks.network(), networks.rule_of("sam"), ascent_fraction=0.5)
    x, y = in_order(networks.data(5 * networks.BATCH))
    networks.compiled(model).fit(x, y, batch_size=networks.BATCH, shuffle=False, verbose=0)
    return [networks.flat(networks.copied(model.model.trainable_weights))]


def distance(one, other):
    return [float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True)]


def data_parallel():
    return keras.distribution.DataParallel(devices=DEVICES)


def model_parallel():
    mesh = keras.distribution.DeviceMesh((1, 2), ["batch", "model"], DEVICES)
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*conv2d.*kernel"] = (None, None, None, "model")
    layout[".*dense.*kernel"] = ("model", None)
    return keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")


def error_of_an_uneven_batch(way):
    try:
        networks.trained(networks.compiled(way(networks.network())), examples=networks.BATCH + 1)
    except ValueError as error:
        return type(error).__name__


class Table(keras.layers.Layer):
    """Has state that looks like a random seed."""

    def build(self, shape):
        self.table = self.add_weight(
            shape=(2,), dtype="uint32", initializer="ones", trainable=False, aggregation="mean"
        )

    def call(self, inputs):
        return inputs * keras.ops.cast(keras.ops.sum(self.table), "float32")


def by_replicas(net):
    return SharpnessAwareModel(net, still(), perturbation_sync="replica")


def with_a_table(way):
    net = keras.Sequential(
        [keras.Input((5,)), Table(), keras.layers.Dense(3, kernel_initializer="ones")]
    )
    return test_parts.step(way(net), "mse", np.ones((8, 5), "float32"), np.ones((8, 3), "float32"))


def compared():
    one = {rule: weights_after(rule, dropout=0.5) for rule in ("zsharp", "friendly_sam")}
    every_other = weights_after("zsharp", perturb_every=2)
    random = "random_sam", 0.0, {"rho": 1.0, "seed": 1}
    random_direction = weights_after(*random)
    parts = weights_after("friendly_sam", micro_batches=2)
    shares = functools.partial(first_of_shares, size=networks.BATCH, shares=2, first=8)
    halves = {"data": weights_of_halves(shares), "model": weights_of_halves()}
    halves_of_parts = weights_after("friendly_sam", micro_batches=2, ascent_fraction=0.5)
    found = {}
    for name, distribution in {"data": data_parallel(), "model": model_parallel()}.items():
        keras.distribution.set_distribution(distribution)
        for rule, weights in one.items():
            found[f"{name} {rule}"] = distance(weights_after(rule, dropout=0.5), weights)
        found[f"{name} halves"] = distance(weights_of_halves(), halves[name])
    try:
        weights_after("sam", perturbation_sync="replica")
    except ValueError as error:
        found["refused"] = str(error)
    keras.distribution.set_distribution(data_parallel())
    found["uneven"] = [
        error_of_an_uneven_batch(way)
        for way in (lambda net: net, lambda net: SharpnessAwareModel(net, "sam"))
    ]
    found["a table"] = distance(*(with_a_table(way) for way in (lambda net: net, by_replicas)))
    found["every other"] = distance(weights_after("zsharp", perturb_every=2), every_other)
    found["random"] = distance(weights_after(*random), random_direction)
    own_directions = weights_after(*random, perturbation_sync="replica")
    found["random by replicas"] = distance(own_directions, random_direction)
    replica = weights_after("friendly_sam", perturbation_sync="replica")
    found["replica"] = distance(replica, parts)
    replica_halves = weights_after("friendly_sam", perturbation_sync="replica", ascent_fraction=0.5)
    found["replica halves"] = distance(replica_halves, halves_of_parts)
    found["replica is not global"] = distance(replica, weights_after("friendly_sam"))
    found["parts"] = parts_of_two_devices()
    return found


def parts_of_two_devices():
    """What `perturbation_sync="replica"` says of what it cannot average, and what it counts."""
    said, options = {}, {"perturbation_sync": "replica"}
    x, y = np.ones((8, 5), "float32"), np.ones((8, 3), "float32")
    total = keras.losses.MeanSquaredError(reduction="sum")
    counts = {name: test_parts.Counts(name) for name in ("none", "sum")}
    steps = keras.Input(batch_shape=(8, 5, 1))
    stateful = keras.layers.GRU(3, stateful=True)
    for name, net, loss, inputs in (
        ("sum", test_parts.net(), total, x),
        ("state", test_parts.net(counts["none"]), "mse", x),
        ("counted", test_parts.net(counts["sum"]), "mse", x),
        ("stateful", keras.Model(steps, stateful(steps)), "mse", x[..., None]),
        ("bank", test_parts.memory(), "mse", {"x": x, "bank": x[:, :4]}),
        ("state of halves", test_parts.net(test_parts.Counts("none")), "mse", x),
    ):
        fraction = {"ascent_fraction": 0.5} if name == "state of halves" else {}
        model = SharpnessAwareModel(net, "sam", **options, **fraction)
        try:
            test_parts.step(model, loss, inputs, y)
        except ValueError as error:
            said[name] = str(error)
    said["count"] = float(counts["sum"].count.numpy())
    batch = {"x": x, "bank": np.arange(32, dtype="float32").reshape(8, 4) / 32}, y
    ends = [
        test_parts.step(SharpnessAwareModel(test_parts.memory(), still(), **more), "mse", *batch)
        for more in ({**options, "batched_inputs": ["x"]}, {})
    ]
    said["whole bank"] = max(distance(*ends))
    return said


if __name__ == "__main__":
    print(json.dumps(compared()))

"""A run of `epochs` ends as one that a `Backup` has cut in two, with all that `fit` takes."""

from collections import Counter, defaultdict

import keras
import numpy as np
import pytest
from keras import layers

from keras_zsharp import FriendlySAM, SharpnessAwareModel
from keras_zsharp.callbacks import Backup
from tests.backends import networks
from tests.tiers import crossed

BATCH, STEPS, EPOCHS = 12, 2, 4
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(24, 5)).astype("float32")
Y = RANDOM.normal(size=(24, 1)).astype("float32")


class Reshuffled(keras.utils.PyDataset):
    """Has an order of its own, which every epoch changes."""

    def __init__(self):
        super().__init__()
        self.order, self.random = np.arange(len(X)), np.random.default_rng(3)

    def __len__(self):
        return STEPS

    def __getitem__(self, index):
        rows = self.order[BATCH * index : BATCH * (index + 1)]
        return X[rows], Y[rows]

    def on_epoch_end(self):
        self.random.shuffle(self.order)


def generator():
    random = np.random.default_rng(5)
    while True:
        rows = random.permutation(len(X))[:BATCH]
        yield X[rows], Y[rows]


def tf_data():
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(24, seed=2).batch(BATCH)


def data_loader():
    torch = pytest.importorskip("torch")
    dataset = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    return torch.utils.data.DataLoader(dataset, batch_size=BATCH, shuffle=True)


ARRAYS = {"x": X, "y": Y, "batch_size": BATCH}
DATA = {
    "arrays": lambda: {**ARRAYS, "validation_data": (X, Y)},
    "arrays in batches": lambda: {**ARRAYS, "shuffle": "batch"},
    "arrays in order": lambda: {**ARRAYS, "shuffle": False},
    "parts of arrays": lambda: {**ARRAYS, "steps_per_epoch": 1},
    "part for validation": lambda: {**ARRAYS, "validation_split": 0.5},
    "weights": lambda: {**ARRAYS, "sample_weight": Y[:, 0] ** 2},
    "PyDataset": lambda: {"x": Reshuffled()},
    "generator": lambda: {"x": generator(), "steps_per_epoch": STEPS},
    "tf.data": lambda: {"x": tf_data()},
    "DataLoader": lambda: {"x": data_loader()},
}


def model_of(wrapped=True, **arguments):
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(4, activation="tanh"), layers.Dropout(0.3)]
    model = keras.Sequential([keras.Input((5,)), *hidden, layers.Dense(1)])
    if wrapped:
        model = SharpnessAwareModel(model, FriendlySAM(rho=0.5))
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", **arguments)
    return model


def callbacks():
    """They change the learning rate, and at the end put the first epoch's weights back."""
    return [
        keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_delta=10.0),
        keras.callbacks.EarlyStopping(
            monitor="loss", patience=EPOCHS - 1, min_delta=10.0, restore_best_weights=True
        ),
    ]


def run(model, *callbacks, data="arrays", epochs=EPOCHS):
    epochs = model.fit(**DATA[data](), epochs=epochs, verbose=0, callbacks=[*callbacks]).epoch
    return epochs, networks.state(model)


def assert_same(left, right):
    for ours, theirs in zip(left, right, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("data", crossed(DATA, ["arrays", "PyDataset", "generator"]))
@pytest.mark.parametrize("wrapped", crossed([True, False], [True]))
@pytest.mark.parametrize("eagerly", crossed([True, False], [True]))
def test_data_of_each_kind_go_on_with_the_same_bits(data, wrapped, eagerly, tmp_path):
    def trained(*backups, epochs=EPOCHS):
        model = model_of(wrapped, run_eagerly=eagerly)
        return run(model, *backups, *callbacks(), data=data, epochs=epochs)

    _, straight = trained()
    trained(Backup(tmp_path, delete_checkpoint=False), epochs=2)
    epochs, resumed = trained(Backup(tmp_path))
    assert epochs == [2, 3]
    assert_same(resumed, straight)


def test_read_again_off_begins_with_the_first_data(tmp_path):
    """The same bits need `read_again`, where the data have a place of their own."""
    ends = []
    for again in (True, False):
        folder = tmp_path / str(again)
        for epochs in (2, 3):
            keeping = Backup(folder, delete_checkpoint=False, read_again=again)
            _, end = run(model_of(run_eagerly=True), keeping, data="generator", epochs=epochs)
        ends.append(end)
    assert not all(map(np.array_equal, *ends))


class Sets(keras.callbacks.Callback):
    """Sets what belongs to rule and step in the second epoch, and remembers something."""

    def __init__(self):
        super().__init__()
        self.losses, self.random = [], np.random.default_rng(0)

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.model.rule = FriendlySAM(rho=0.2, lmbda=0.5)
            self.model.perturb_every = 2
        self.model.rule.rho = 0.1 * self.random.uniform()

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(logs["loss"])


def test_what_callbacks_set_and_remember_goes_on(tmp_path):
    straight, resumed = Sets(), Sets()
    expected = model_of(run_eagerly=True)
    run(expected, straight)
    run(model_of(run_eagerly=True), Backup(tmp_path, delete_checkpoint=False), Sets(), epochs=2)
    model = model_of(run_eagerly=True)
    run(model, resumed, Backup(tmp_path))
    assert_same(networks.copied(model.model.weights), networks.copied(expected.model.weights))
    assert resumed.losses == straight.losses
    assert len(resumed.losses) == EPOCHS
    assert model.perturb_every == 2
    assert model.rule.lmbda == 0.5


class Meter:
    def __init__(self):
        self.sum, self.of = np.zeros(2), {}

    def add(self, number):
        self.sum = self.sum + number
        self.of[number, "squared"] = number**2


class Keeps(keras.callbacks.Callback):
    """Remembers in each kind of thing that can be changed."""

    def __init__(self):
        super().__init__()
        self.metric, self.seeds = keras.metrics.Mean(), keras.random.SeedGenerator(1)
        self.legacy, self.variables = np.random.RandomState(1), [keras.Variable(0.0)]
        self.meters, self.named = [Meter()], {"meter": Meter(), "counts": defaultdict(int)}
        self.counter, self.bytes, self.complex = Counter(), b"", 0j
        self.list, self.new = type("Own", (list,), {})(), []

    def on_train_begin(self, logs=None):
        self.net = keras.models.clone_model(self.model.model)
        self.same = self.model.model, self.model.optimizer

    def on_epoch_end(self, epoch, logs=None):
        self.metric.update_state(epoch)
        self.seeds.next()
        self.legacy.uniform()
        self.variables[0].assign(epoch)
        self.meters[0].add(epoch)
        self.named["meter"].add(epoch)
        self.named["counts"][epoch % 2] += 1
        self.counter[epoch % 2] += 1
        self.bytes, self.complex = self.bytes + b"x", self.complex + 1j
        self.list.append(epoch)
        self.new.append(Meter())
        self.new[-1].add(epoch)
        pairs = zip(self.net.get_weights(), self.model.model.get_weights(), strict=True)
        self.net.set_weights([old + new for old, new in pairs])

    def kept(self):
        own = self.seeds.state, *self.variables, *self.net.variables
        values = [self.metric.result(), self.legacy.uniform(), *own]
        meters = *self.meters, self.named["meter"], *self.new
        rest = self.named["counts"], self.counter, self.bytes, self.complex, self.list
        values = [np.asarray(keras.ops.convert_to_numpy(v)).tolist() for v in values]
        return values, rest, [(m.sum.tolist(), m.of) for m in meters]


def test_what_callbacks_keep_in_objects_goes_on(tmp_path):
    straight, resumed = Keeps(), Keeps()
    run(model_of(run_eagerly=True), straight)
    run(model_of(run_eagerly=True), Backup(tmp_path, delete_checkpoint=False), Keeps(), epochs=2)
    run(model_of(run_eagerly=True), resumed, Backup(tmp_path))
    assert resumed.kept() == straight.kept()


class Iterates(keras.callbacks.Callback):
    """Changes what stays the same object, and what no array of bytes can have."""

    def __init__(self):
        super().__init__()
        self.iterator, self.fields = iter(range(9)), np.zeros(1, [("a", "f4")])

    def on_epoch_end(self, epoch, logs=None):
        next(self.iterator)
        self.fields["a"] += 1


def test_what_changes_within_and_no_file_can_have_is_named(tmp_path):
    with pytest.warns(UserWarning, match=r"cannot have Iterates\.iterator, Iterates\.fields"):
        run(model_of(run_eagerly=True), Backup(tmp_path), Iterates(), epochs=1)


class Open(keras.callbacks.Callback):
    """Remembers what no file can have."""

    def on_epoch_end(self, epoch, logs=None):
        self.lock = __import__("threading").Lock()


def test_what_no_file_can_have_is_named(tmp_path):
    with pytest.warns(UserWarning, match=r"A backup cannot have Open\.lock"):
        run(model_of(run_eagerly=True), Backup(tmp_path), Open(), epochs=1)


class Lost(keras.callbacks.Callback):
    """Loses all weights in the third epoch, and has none from then on."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations > 2 * STEPS:
            self.model.set_weights([w * np.nan for w in self.model.get_weights()])


@pytest.mark.parametrize("ends", [[], [keras.callbacks.TerminateOnNaN]])
def test_lost_weights_push_out_no_backup(ends, tmp_path):
    with pytest.warns(UserWarning, match="not finite after epoch 3: no backup of it is written"):
        run(model_of(run_eagerly=True), Backup(tmp_path), Lost(), *(end() for end in ends))
    assert [path.name[:5] for path in sorted(tmp_path.iterdir())] == ["00001", "00002"]
    epochs, end = run(model_of(run_eagerly=True), Backup(tmp_path))
    assert epochs == [2, 3]
    assert np.isfinite(end[0]).all()


class NoLoss(keras.callbacks.Callback):
    """A loss that is lost, where the step was skipped and the weights are well."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2:
            logs["loss"], self.model.stop_training = float("nan"), True


def test_a_run_that_a_lost_loss_stops_keeps_its_backups(tmp_path):
    with pytest.warns(UserWarning, match="not finite after epoch 3"):
        run(model_of(run_eagerly=True), NoLoss(), Backup(tmp_path))
    assert run(model_of(run_eagerly=True), Backup(tmp_path))[0] == [2, 3]

"""A run that is killed goes on where it was, whatever the kill has left on the disk."""

import errno
import os
import re

import keras
import pytest
from keras import layers

from keras_zsharp import FriendlySAM, SharpnessAwareModel, SharpnessAwareTraining, sharpness_aware
from keras_zsharp.callbacks import Backup
from tests.tiers import crossed
from tests.training.cases import assert_same, normal

X, Y = normal(5), normal(1)
EPOCHS = 4


def net():
    return keras.Sequential([keras.Input((5,)), layers.BatchNormalization(), layers.Dense(1)])


class Own(SharpnessAwareTraining, keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.normalization, self.head = layers.BatchNormalization(), layers.Dense(1)

    def call(self, inputs, training=None):
        return self.head(self.normalization(inputs, training=training))


MODELS = {
    "wrapped": lambda: SharpnessAwareModel(net(), FriendlySAM(rho=0.1)),
    "in place": lambda: sharpness_aware(net(), FriendlySAM(rho=0.1)),
    "mixin": lambda: Own(perturbation=FriendlySAM(rho=0.1)),
    "plain": net,
}


def compiled(name="wrapped"):
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", run_eagerly=True)
    return model


def fit(model, *callbacks, epochs=EPOCHS):
    return model.fit(
        X, Y, batch_size=6, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks
    )


def state(model):
    return [v.numpy() for v in [*model.variables, *model.optimizer.variables]]


@pytest.fixture(scope="module")
def expected():
    ends = {}
    for name in MODELS:
        model = compiled(name)
        fit(model)
        ends[name] = state(model)
    return ends


class Killed(BaseException):
    pass


class KilledAt:
    """Ends the run at the file operation of that number, before or after it is done."""

    OPERATIONS = ("open", "fsync", "replace", "unlink")

    def __init__(self, patch, number):
        self.count, self.number = 0, number
        for name in self.OPERATIONS:
            patch.setattr(os, name, self._counted(getattr(os, name)))
        patch.setattr(keras.Model, "save_weights", self._counted(keras.Model.save_weights))

    def _counted(self, operation):
        def counted(*args, **kwargs):
            self._one_more()
            done = operation(*args, **kwargs)
            self._one_more()
            return done

        return counted

    def _one_more(self):
        self.count += 1
        if self.count == self.number:
            raise Killed


def backed_up(folder, epochs=EPOCHS):
    model = compiled()
    fit(model, Backup(folder, delete_checkpoint=False), epochs=epochs)
    return sorted(folder.iterdir())


@pytest.mark.parametrize("every", crossed([1, 7], default=[]))
def test_ends_the_same_wherever_it_was_killed(every, tmp_path, monkeypatch, expected):
    with monkeypatch.context() as patch:
        operations = KilledAt(patch, None)
        fit(compiled(), Backup(tmp_path / "straight"))
    assert operations.count > 8 * EPOCHS
    for number in range(1, operations.count + 1, every):
        folder = tmp_path / str(number)
        with monkeypatch.context() as patch:
            KilledAt(patch, number)
            with pytest.raises(Killed):
                fit(compiled(), Backup(folder))
        model = compiled()
        fit(model, Backup(folder))
        # Killed while it removed the backups of all epochs, it may find none: it starts anew.
        assert_same(state(model), expected["wrapped"])
        assert not folder.exists()


@pytest.mark.parametrize("name", crossed(MODELS, ["plain"]))
def test_goes_on_with_the_same_bits(name, tmp_path, expected):
    fit(compiled(name), Backup(tmp_path, delete_checkpoint=False), epochs=2)
    model = compiled(name)
    history = fit(model, Backup(tmp_path))
    assert history.epoch == [2, 3]
    assert_same(state(model), expected[name])
    assert not tmp_path.exists()
    assert fit(model).epoch == [0, 1, 2, 3]


def test_keeps_the_last_two(tmp_path):
    assert [path.name[:5] for path in backed_up(tmp_path)] == ["00003", "00004"]
    assert not fit(compiled(), Backup(tmp_path, delete_checkpoint=False)).epoch


DAMAGES = {
    "emptied": lambda content: b"",
    "cut in the middle": lambda content: content[: len(content) // 2],
    "cut at the end": lambda content: content[:-1],
    "a bit of the middle": lambda content: _flipped(content, len(content) // 2),
    "a bit of the end": lambda content: _flipped(content, len(content) - 9),
    "zeros": lambda content: bytes(len(content)),
}


def _flipped(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_backup_is_left_for_the_one_before(damage, tmp_path, expected):
    before, newest = backed_up(tmp_path)
    newest.write_bytes(damage(newest.read_bytes()))
    model = compiled()
    with pytest.warns(UserWarning, match=f"{newest.name} is damaged: training continues from .*"):
        history = fit(model, Backup(tmp_path, delete_checkpoint=False))
    assert history.epoch == [3]
    assert_same(state(model), expected["wrapped"])
    assert before.name[:5] == "00003"


def test_where_all_are_damaged_nothing_is_loaded(tmp_path):
    paths = backed_up(tmp_path)
    for path in paths:
        path.write_bytes(b"no HDF5")
    model = compiled()
    values = state(model)
    message = f"`backup_dir` must have a backup that is whole. Received: {[str(p) for p in paths]}"
    with pytest.raises(ValueError, match=re.escape(message)):
        fit(model, Backup(tmp_path))
    assert_same(state(model)[: len(values)], values)


def other_weights():
    return SharpnessAwareModel(
        keras.Sequential([keras.Input((5,)), layers.Dense(1)]), FriendlySAM()
    )


def other_rule():
    return SharpnessAwareModel(net(), "sam")


@pytest.mark.parametrize("make", [other_weights, other_rule, net])
def test_a_backup_of_another_model_is_refused(make, tmp_path):
    backed_up(tmp_path)
    model = make()
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", run_eagerly=True)
    values = [v.numpy() for v in model.trainable_variables]
    with pytest.raises(ValueError, match=r"backups of this model.*Received: .*00004.*of another"):
        fit(model, Backup(tmp_path))
    assert_same([v.numpy() for v in model.trainable_variables], values)


def test_a_full_disk_leaves_the_backup_before(tmp_path, monkeypatch, expected):
    def full(self, path, overwrite=True):
        path.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    backed_up(tmp_path, epochs=2)
    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "save_weights", full)
        with pytest.raises(
            OSError, match=r"one before is still there.*No space.*partial"
        ) as raised:
            fit(compiled(), Backup(tmp_path))
    assert raised.value.errno == errno.ENOSPC
    model = compiled()
    assert fit(model, Backup(tmp_path)).epoch == [2, 3]
    assert_same(state(model), expected["wrapped"])


def test_arguments():
    for wrong in (None, 3, b"folder"):
        with pytest.raises(TypeError, match=r"`backup_dir` must be a str or a path\. Received: "):
            Backup(wrong)
    with pytest.raises(TypeError, match=r"`delete_checkpoint` must be a bool\. Received: .*='yes'"):
        Backup("folder", delete_checkpoint="yes")


def test_a_model_that_is_not_built_is_asked_for(tmp_path):
    backed_up(tmp_path)
    model = keras.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    with pytest.raises(ValueError, match=r"must be built before its state is restored"):
        fit(model, Backup(tmp_path))

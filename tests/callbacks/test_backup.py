"""A run that is killed goes on where it was, whatever the kill has left on the disk."""

import errno
import hashlib
import os
import pathlib
import re
import shutil

import h5py
import keras
import pytest
from keras import layers

from keras_zsharp import FriendlySAM, SharpnessAwareModel, SharpnessAwareTraining, sharpness_aware
from keras_zsharp.callbacks import Backup
from keras_zsharp.resuming import backup_content
from tests.backends import networks
from tests.tiers import crossed
from tests.training.cases import assert_same, normal

LINKS = pytest.mark.skipif(os.name == "nt", reason="links of Windows want privileges")
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
    "mixin": lambda: Own(rule=FriendlySAM(rho=0.1)),
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
    return networks.state(model)


def weights(model):
    return networks.copied(model.trainable_variables)


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
    values = weights(model)
    message = f"`backup_dir` must have a backup that is whole. Received: {[str(p) for p in paths]}"
    with pytest.raises(ValueError, match=re.escape(message)):
        fit(model, Backup(tmp_path))
    assert_same(weights(model), values)


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
    values = weights(model)
    with pytest.raises(ValueError, match=r"backups of this model.*Received: .*00004.*of another"):
        fit(model, Backup(tmp_path))
    assert_same(weights(model), values)


def written_half(self, path, overwrite=True):
    path.write_bytes(b"half of it")


def full(self, path, overwrite=True):
    written_half(self, path)
    raise OSError(errno.ENOSPC, "No space left on device")


def full_in_words(self, path, overwrite=True):
    """As h5py says it of a small file, which it writes when it is closed."""
    written_half(self, path)
    raise RuntimeError("Can't decrement id ref count (unable to close file, errno = 28, error ...")


@pytest.mark.parametrize("fails", [full, full_in_words])
def test_a_full_disk_leaves_the_backup_before(fails, tmp_path, monkeypatch, expected):
    backed_up(tmp_path, epochs=2)
    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "save_weights", fails)
        with pytest.raises(OSError, match=r"one before is still there.*partial") as raised:
            fit(compiled(), Backup(tmp_path))
    assert raised.value.errno == errno.ENOSPC
    assert [path.name[:5] for path in sorted(tmp_path.iterdir())] == ["00001", "00002"]
    model = compiled()
    assert fit(model, Backup(tmp_path)).epoch == [2, 3]
    assert_same(state(model), expected["wrapped"])


class Limits(keras.callbacks.Callback):
    """The system lets files have no more bytes than these."""

    def on_epoch_end(self, epoch, logs=None):
        resource = pytest.importorskip("resource")
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.most, resource.RLIM_INFINITY))


@pytest.mark.parametrize("most", [0, 600, 2048, 8192])
def test_hdf5_never_meets_a_full_disk(most, tmp_path):
    """It ended the process, at some of these numbers."""
    resource = pytest.importorskip("resource")
    before, limits = backed_up(tmp_path, epochs=2), Limits()
    limits.most = most
    try:
        with pytest.raises(OSError, match=r"one before is still there.*partial") as raised:
            fit(compiled(), Backup(tmp_path), limits)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    assert raised.value.errno == errno.EFBIG
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("free", [1000, 10**9])
def test_where_no_place_can_be_reserved(free, tmp_path, monkeypatch):
    """As on Windows and macOS."""
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(free, 0, free))
    if free > 10**6:
        assert len(backed_up(tmp_path)) == 2
    else:
        with pytest.raises(OSError, match=r"one before is still there.*No space left"):
            backed_up(tmp_path)
        assert not list(tmp_path.iterdir())


def test_a_file_is_no_longer_than_the_place_reserved_for_it(tmp_path):
    model = compiled()
    fit(model, Backup(tmp_path, delete_checkpoint=False), epochs=1)
    path = next(tmp_path.iterdir())
    assert path.stat().st_size < backup_content.most_bytes(model, backup_content.read(path)[1])


def test_another_error_while_it_saves_is_that_error(tmp_path, monkeypatch):
    def fails(self, path, overwrite=True):
        written_half(self, path)
        raise RuntimeError("of a layer")

    monkeypatch.setattr(keras.Model, "save_weights", fails)
    with pytest.raises(RuntimeError, match="of a layer"):
        fit(compiled(), Backup(tmp_path))
    assert not list(tmp_path.iterdir())


def test_the_name_is_not_believed(tmp_path):
    """The number of epochs is within the file, which the checksum is of."""
    before, newest = backed_up(tmp_path, epochs=2)
    newest.rename(tmp_path / f"99999{newest.name[5:]}")
    with pytest.warns(UserWarning, match=rf"99999.* is damaged: .*{before.name}"):
        assert fit(compiled(), Backup(tmp_path)).epoch == [1, 2, 3]


def test_a_backup_of_an_earlier_version_is_refused(tmp_path):
    path = backed_up(tmp_path, epochs=1)[0]
    with h5py.File(path, "a") as file:
        del file[backup_content.GROUP]
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    path.rename(tmp_path / f"00001-0123abcd-{content}.weights.h5")
    with pytest.raises(ValueError, match=r"backups of this version.*00001.*Take another folder"):
        fit(compiled(), Backup(tmp_path))


def test_where_no_folder_can_be_opened(tmp_path, monkeypatch, expected):
    """As on Windows, where no descriptor that is read-only can be flushed."""
    opened, flushed, read_only = os.open, os.fsync, set()

    def open_file(path, flags, *args, **kwargs):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        descriptor = opened(path, flags, *args, **kwargs)
        (read_only.discard if flags & os.O_RDWR else read_only.add)(descriptor)
        return descriptor

    def flush(descriptor):
        if descriptor in read_only:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flushed(descriptor)

    monkeypatch.setattr(os, "open", open_file)
    monkeypatch.setattr(os, "fsync", flush)
    backed_up(tmp_path, epochs=2)
    model = compiled()
    assert fit(model, Backup(tmp_path)).epoch == [2, 3]
    assert_same(state(model), expected["wrapped"])


@LINKS
def test_a_linked_folder_stays(tmp_path):
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    fit(compiled(), Backup(link, delete_checkpoint=False), epochs=2)
    assert len(list(folder.iterdir())) == 2
    assert fit(compiled(), Backup(link)).epoch == [2, 3]
    assert link.is_symlink()
    assert not list(folder.iterdir())


@LINKS
def test_a_linked_backup_leaves_the_file_that_it_names(tmp_path):
    stored, folder = tmp_path / "stored", tmp_path / "backup"
    path = backed_up(folder, epochs=1)[0]
    path.rename(stored)
    path.symlink_to(stored)
    assert fit(compiled(), Backup(folder)).epoch == [1, 2, 3]
    assert stored.exists()


def test_files_of_others_stay(tmp_path):
    mine = tmp_path / "notes.weights.h5"
    mine.write_bytes(b"mine")
    fit(compiled(), Backup(tmp_path), epochs=1)
    assert list(tmp_path.iterdir()) == [mine]
    assert mine.read_bytes() == b"mine"


def forbidden(self, *args, **kwargs):
    raise PermissionError(errno.EACCES, "Permission denied", str(self))


def trained_steps(model):
    return int(keras.ops.convert_to_numpy(model.optimizer.iterations))


@pytest.mark.parametrize(
    ("cls", "name"), [(pathlib.Path, "mkdir"), (pathlib.Path, "write_bytes"), (os, "listdir")]
)
def test_a_folder_that_cannot_be_used_is_refused_before_training(cls, name, tmp_path, monkeypatch):
    """One that is read-only, or someone else's."""
    model = compiled()
    with monkeypatch.context() as patch:
        patch.setattr(cls, name, forbidden)
        message = r"`backup_dir` must be a folder that can be .*Permission denied.*folder"
        with pytest.raises(OSError, match=message) as raised:
            fit(model, Backup(tmp_path / "folder"))
    assert raised.value.errno == errno.EACCES
    assert trained_steps(model) == 0


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "folder").write_bytes(b"")
    with pytest.raises(OSError, match="must be a folder that can be written"):
        fit(compiled(), Backup(tmp_path / "folder"))


def test_a_directory_that_changes_while_it_trains_changes_nothing(tmp_path, monkeypatch):
    class Moves(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            os.chdir(tmp_path)

    (tmp_path / "first").mkdir()
    monkeypatch.chdir(tmp_path / "first")
    fit(compiled(), Backup("backup", delete_checkpoint=False), Moves(), epochs=1)
    assert len(list((tmp_path / "first" / "backup").iterdir())) == 1


def test_outside_of_fit_it_is_refused():
    with pytest.raises(RuntimeError, match="must be among the callbacks of a `fit`"):
        Backup("folder").on_train_begin()


def test_arguments():
    for wrong in (None, 3, b"folder"):
        with pytest.raises(TypeError, match=r"`backup_dir` must be a str or a path\. Received: "):
            Backup(wrong)
    with pytest.raises(TypeError, match=r"`delete_checkpoint` must be a bool\. Received: .*='yes'"):
        Backup("folder", delete_checkpoint="yes")
    with pytest.raises(TypeError, match=r"`read_again` must be a bool\. Received: .*=1"):
        Backup("folder", read_again=1)


def test_a_model_that_is_not_built_is_built_or_asked_for(tmp_path):
    """`fit` builds it before training begins, but for TensorFlow's."""

    def model():
        made = keras.Sequential([layers.BatchNormalization(), layers.Dense(1)])
        made.compile("sgd", "mse", run_eagerly=True)
        return made

    fit(model(), Backup(tmp_path, delete_checkpoint=False), epochs=2)
    if keras.backend.backend() == "tensorflow":
        with pytest.raises(ValueError, match=r"must be built before its state is restored"):
            fit(model(), Backup(tmp_path))
    else:
        assert fit(model(), Backup(tmp_path)).epoch == [2, 3]

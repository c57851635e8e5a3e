"""What a user reads when a dataset cannot be had."""

import io
import re
import sys
import zipfile

import filelock
import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_zsharp import data
from tests.data.stored import random_images, store


def no_network(*_, **__):
    raise ConnectionError("Max retries exceeded with url: /cifar-10-binary.tar.gz\nCaused by ...")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cifar"}, r"`name` must be 'digits', 'cifar10', .*name='cifar'"),
        ({"batch_size": 0}, r"`batch_size` must be an int >= 1. Received: batch_size=0"),
        ({"augment": "flip"}, r"`augment` must be 'standard', .*Received: augment='flip'"),
        ({"label_noise": 1.1}, r"`label_noise` must be in \[0, 1\]. Received: label_noise=1.1"),
        ({"label_noise": "0.4"}, r"`label_noise` must be a share in \[0, 1\].*label_noise='0.4'"),
        ({"validation": 1.0}, r"`validation` must be None or in \(0, 1\). Received: validation=1"),
        ({"validation": 1e-6}, r"`validation` must leave at least one of the 1200 training"),
        ({"augment": "randaugment"}, r"`augment=\"randaugment\"` needs color images"),
    ],
)
def test_arguments_outside_of_their_bounds(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.load(**{"name": "digits"} | arguments)


OF_ALL = [None, True, 2.5, "4", [1], np.array([1.0, 2.0]), 1j]
WRONG_TYPES = {
    "batch_size": OF_ALL,
    "seed": OF_ALL,
    "train_size": OF_ALL,
    "label_noise": [None, True, [0.4], np.array([0.4]), 1j],
    "validation": [True, "0.4", [0.4], 1j],
    "split_seed": OF_ALL[1:],
    "augment": [True, 1, ["cutout"]],
}


@pytest.mark.parametrize("name", WRONG_TYPES)
def test_arguments_of_wrong_types(name):
    for value in WRONG_TYPES[name]:
        with pytest.raises(TypeError, match=rf"^`{name}` must be .* Received: {name}="):
            data.digits(**{name: value})


@pytest.mark.parametrize("name", ["batch_size", "seed", "train_size", "split_seed"])
def test_ints_of_numpy_are_ints(name):
    assert data.digits(**{name: np.int64(64)}).sizes == data.digits(**{name: 64}).sizes
    with pytest.raises(
        ValueError, match=rf"^`{name}` must be an int >= [01]\. Received: {name}=-1"
    ):
        data.digits(**{name: -1})


def test_without_network(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", no_network)
    with pytest.raises(RuntimeError) as caught:
        data.load("cifar10", data_dir=tmp_path)
    assert str(caught.value) == (
        f"cifar10 is not in {tmp_path} and could not be prepared there: ConnectionError: Max "
        "retries exceeded with url: /cifar-10-binary.tar.gz. Prepare it where there is a network, "
        "and pass its folder as `data_dir`. Archives downloaded by hand belong in "
        f"{tmp_path}/downloads/manual. Or pass a folder or a zip with pictures in train/CLASS and "
        "test/CLASS as `data_dir`."
    )
    assert not list((tmp_path / "cifar10").glob("**/*.tfrecord*"))


def test_dataset_to_download_by_hand(tmp_path):
    with pytest.raises(RuntimeError, match=f"belong in {tmp_path}/downloads/manual"):
        data.load("imagenet2012", data_dir=tmp_path)


def test_folder_that_cannot_be_written(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OSError, match=f"cifar10 is not in {file} yet, which cannot be written"):
        data.load("cifar10", data_dir=file)


@pytest.mark.parametrize("module", ["tensorflow_datasets", "filelock"])
def test_package_that_is_not_installed(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"pip install 'keras-zsharp\[datasets\]'"):
        data.load("cifar10")


@pytest.mark.parametrize("by", ["path", "file"])
def test_a_damaged_picture_of_any_dataset(by, tmp_path, monkeypatch):
    """tensorflow-datasets' own builders give pictures as paths, or as files beside their names."""
    path = tmp_path / "image_00007.jpg"
    path.write_bytes(b"no picture")
    picture = str(path) if by == "path" else io.BytesIO(path.read_bytes())
    example = {"image": picture, "label": 0, "file_name": path.name}
    monkeypatch.setattr(
        tfds.builder_cls("oxford_flowers102"),
        "_split_generators",
        lambda *_: {"train": iter([(path.name, example)])},
    )
    named = path if by == "path" else path.name
    with pytest.raises(RuntimeError) as caught:
        data.load("oxford_flowers102", data_dir=tmp_path / "data")
    assert f"the picture {named} is damaged (Unknown image file format" in str(caught.value)
    assert f"In {tmp_path}/data/downloads, delete the archive" in str(caught.value)


def test_what_another_process_has_prepared_meanwhile_is_read(tmp_path, monkeypatch):
    """The lock is free only when it is there."""

    def acquire(lock):
        assert lock.lock_file == str(tmp_path / ".keras_zsharp.cifar10.lock")
        images = random_images(4, (32, 32, 3))
        store(tmp_path, "cifar10", images, images, shape=(32, 32, 3))

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", no_network)
    assert data.load("cifar10", data_dir=tmp_path).sizes == {"train": 4, "test": 4}


def manual_archive(folder):
    path = folder / "downloads" / "manual" / "tiny-imagenet-200.zip"
    path.parent.mkdir(parents=True)
    return path


def test_broken_archive(tmp_path):
    path = manual_archive(tmp_path)
    path.write_bytes(b"PK not the whole of it")
    with pytest.raises(RuntimeError, match=f"{path} is not the whole archive of Tiny-ImageNet"):
        data.load("tiny_imagenet", data_dir=tmp_path)


def test_archive_of_something_else(tmp_path):
    path = manual_archive(tmp_path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(RuntimeError, match=f"{path} is not the whole archive .*wnids.txt"):
        data.load("tiny_imagenet", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("core", "why"),
    [
        ("raise RuntimeError('gencode 6 runtime 5')", "RuntimeError: gencode 6 runtime 5"),
        ("import importlib_resourcez", "No module named 'importlib_resourcez'"),
        (None, "No module named 'tensorflow_datasets.core'"),
    ],
)
def test_a_broken_tensorflow_datasets_is_told_with_the_remedy(core, why, tmp_path, monkeypatch):
    """Itself, it can be imported, but has no `builder`."""
    package = tmp_path / "tensorflow_datasets"
    package.mkdir()
    (package / "__init__.py").touch()
    if core:
        (package / "core.py").write_text(core)
    for name in [name for name in sys.modules if name.startswith("tensorflow_datasets")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    assert_told_with_the_remedy(why)


def test_a_package_that_is_missed_only_in_preparing_is_told_with_the_remedy(tmp_path, monkeypatch):
    """As tensorflow-datasets 4.9.10 misses importlib_resources."""
    why = "No module named 'importlib_resources'"

    def missing(*_, **__):
        raise ModuleNotFoundError(why)

    monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", missing)
    assert_told_with_the_remedy(why, data_dir=tmp_path)


def assert_told_with_the_remedy(why, **options):
    remedy = "pip install 'tensorflow-metadata<1.18' importlib_resources"
    message = f"tensorflow-datasets cannot be used here: .*{re.escape(why)}.*{re.escape(remedy)}"
    with pytest.raises(ImportError, match=message):
        data.load("cifar10", **options)

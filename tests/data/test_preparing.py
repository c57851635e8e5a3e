"""What a user reads when a dataset cannot be had."""

import sys
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_zsharp import data


def no_network(*_, **__):
    raise ConnectionError("Max retries exceeded with url: /cifar-10-binary.tar.gz\nCaused by ...")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cifar"}, r"`name` must be 'digits', 'cifar10', .*name='cifar'"),
        ({"batch_size": 0}, r"`batch_size` must be an int >= 1. Received: batch_size=0"),
        ({"augment": "flip"}, r"`augment` must be 'standard', .*Received: augment='flip'"),
        ({"label_noise": 1.1}, r"`label_noise` must be in \[0, 1\]. Received: label_noise=1.1"),
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
    "label_noise": [None, True, "0.4", [0.4], np.array([0.4]), 1j],
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
        "and pass its folder as `data_dir`; archives downloaded by hand belong in "
        f"{tmp_path}/downloads/manual."
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


@pytest.mark.parametrize(
    ("module", "name"), [("tensorflow_datasets", "cifar10"), ("sklearn.datasets", "digits")]
)
def test_package_that_is_not_installed(module, name, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"pip install 'keras-zsharp\[datasets\]'"):
        data.load(name)


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

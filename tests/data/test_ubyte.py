"""Fashion-MNIST from files in MNIST's format."""

import gzip
import sys

import numpy as np
import pytest

from keras_zsharp import data
from keras_zsharp.data import ubyte
from tests.data.stored import random_images
from tests.data.test_loading import arrays, pixels

TRAIN, TEST = random_images(40, (28, 28)), random_images(20, (28, 28), seed=1)


def encoded(array):
    """The bytes of a file with the array."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(header + array.astype("uint8").tobytes())


@pytest.fixture
def folder(tmp_path):
    for part, examples in (("train", TRAIN), ("test", TEST)):
        for file, content in zip(ubyte.FILES[part], zip(*examples, strict=True), strict=True):
            (tmp_path / file).write_bytes(encoded(np.array(content)))
    return tmp_path


def check(bundle):
    assert bundle.sizes == {"train": 40, "test": 20}
    assert (bundle.classes, bundle.input_shape) == (10, (28, 28, 1))
    images, labels = arrays(bundle.test)
    np.testing.assert_array_equal(pixels(bundle, images)[..., 0], [image for image, _ in TEST])
    np.testing.assert_array_equal(labels, [label for _, label in TEST])
    images, labels = arrays(bundle.train)
    found = {i.tobytes(): y for i, y in zip(pixels(bundle, images), labels, strict=True)}
    assert found == {image.tobytes(): label for image, label in TRAIN}


def test_files_are_read_without_tensorflow_datasets(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    check(data.fashion_mnist(batch_size=16, augment=None, data_dir=folder))


def test_no_folder_is_looked_for(monkeypatch):
    """What a seed gives does not follow from the packages of the system."""
    sources = []
    monkeypatch.setattr(
        "keras_zsharp.data.reading.prepared", lambda *source: sources.append(source) or 1 / 0
    )
    monkeypatch.setattr(
        "pathlib.Path.is_file", lambda path: path.name in sum(ubyte.FILES.values(), ())
    )
    with pytest.raises(ZeroDivisionError):
        data.fashion_mnist()
    assert sources == [("fashion_mnist", None)]


def test_some_of_the_files(folder):
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(ValueError, match="`data_dir` must have t10k-labels-idx1-ubyte"):
        data.fashion_mnist(data_dir=folder)


@pytest.mark.parametrize("error", [ImportError, RuntimeError])
def test_neither_files_nor_tensorflow_datasets(error, tmp_path, monkeypatch):
    def fails(*_):
        raise error("No network.")

    monkeypatch.setattr("keras_zsharp.data.reading.prepared", fails)
    with pytest.raises(error, match=r"No network. Or pass .*train-images-.*as `data_dir`.$"):
        data.fashion_mnist(data_dir=tmp_path)
    with pytest.raises(error, match=r"No network. Or pass .* pictures in train/CLASS .*_dir`.$"):
        data.cifar10(data_dir=tmp_path)
    with pytest.raises(error, match=r"No network.$"):
        data.svhn(data_dir=tmp_path)


LABELS = np.arange(20) % 10


DAMAGED = {
    "no gzip": (b"\0\0\x08\1", "t10k-labels.* is damaged: Not a gzipped file"),
    "no end": (encoded(LABELS)[:-12], "t10k-labels.* is damaged: Compressed file ended"),
    "a wrong checksum": (encoded(LABELS)[:-5] + bytes(5), "t10k-labels.* is damaged: CRC"),
    "no header": (gzip.compress(b"\0\0"), "is damaged: its 2 bytes are no array of bytes"),
    "half a header": (gzip.compress(b"\0\0\x08\1\0"), "its 5 bytes are no array of bytes"),
    "another type": (gzip.compress(b"\0\0\x0d\1" + bytes(4)), "are no array of bytes"),
    "too few bytes": (
        gzip.compress(b"\0\0\x08\1\0\0\0\x14" + bytes(19)),
        "its 27 bytes are no array of bytes",
    ),
    "too few labels": (encoded(LABELS[1:]), r"as many labels as images.*\(19,\) and \(20, 28"),
    "an unknown label": (encoded(LABELS + 1), "t10k-labels.* is damaged: it has the label 10"),
}


@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_files(folder, content, message):
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(content)
    with pytest.raises(RuntimeError, match=message):
        data.fashion_mnist(data_dir=folder)

"""Pictures in the folders of their classes, with and without TensorFlow."""

import numpy as np
import pytest

from keras_zsharp import data
from keras_zsharp.data import pipeline
from keras_zsharp.lazily import has_tensorflow
from tests.data.painted import CLASSES, COUNTS, labels_by_picture, paint, pixels, zipped


def expected(pictures):
    return {image.tobytes(): CLASSES.index(n.split("/")[1]) for n, image in pictures.items()}


def check(path, train, test):
    bundle = data.image_folder(path)
    assert (bundle.classes, bundle.class_names, bundle.input_shape) == (3, CLASSES, (6, 5, 3))
    assert bundle.sizes == {"train": 24, "test": 6}
    assert labels_by_picture(bundle, "train") == expected(train)
    assert labels_by_picture(bundle, "test") == expected(test)


def test_a_folder_and_its_zips(painted, tmp_path):
    folder, train, test = painted
    check(str(folder), train, test)
    check(zipped(folder, tmp_path / "flat.zip"), train, test)
    junk = ["__MACOSX/pictures/train/ant/._00.png", "read.me"]
    check(zipped(folder, tmp_path / "images.zip", "pictures/", junk), train, test)
    check(tmp_path, train, test)  # A folder with images.zip.


@pytest.mark.parametrize("tensorflow", [True, False])
def test_batches_are_the_pictures(painted, tensorflow, monkeypatch):
    if tensorflow and not has_tensorflow():
        pytest.skip("TensorFlow is not installed")
    monkeypatch.setattr(pipeline, "has_tensorflow", lambda: tensorflow)
    folder, train, test = painted
    bundle = data.image_folder(folder, 16, augment=None)
    for batches, stored in ((bundle.train, train), (bundle.test, test)):
        parts = [(np.asarray(images), np.asarray(labels)) for images, labels in batches]
        images, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
        assert (images.dtype, labels.dtype) == ("float32", "int64")
        found = {i.tobytes(): y for i, y in zip(pixels(bundle, images), labels, strict=True)}
        assert found == expected(stored)


def test_pixels_are_normalized_by_those_that_are_trained_on(folder):
    bundle = data.image_folder(folder, validation=0.25, train_size=20)
    images, _ = bundle.arrays["train"]
    np.testing.assert_allclose(images.mean((0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(images.std((0, 1, 2)), 1, atol=1e-6)
    raw = bundle.splits["train"].images.astype(float)
    np.testing.assert_allclose(bundle.mean, raw.mean((0, 1, 2)))
    np.testing.assert_allclose(bundle.std, raw.std((0, 1, 2)))


def test_a_plain_channel_stays_finite(folder):
    for file in folder.rglob("*.png"):
        paint(file, np.full((6, 5, 3), (7, 8, 9), "uint8"))
    bundle = data.image_folder(folder)
    assert (bundle.mean, bundle.std) == ((7.0, 8.0, 9.0), (1.0, 1.0, 1.0))
    assert not bundle.arrays["train"][0].any()


def test_each_part_has_the_classes_in_equal_shares(painted):
    folder, train, _ = painted
    bundle = data.image_folder(folder, validation=0.5, train_size=12, seed=3)
    shares = [np.bincount(bundle.arrays[part][1]).tolist() for part in ("train", "validation")]
    assert shares == [[2, 1, 3], [2, 1, 3]]
    first = [f"train/{c}/{i:02}.png" for c in CLASSES for i in range(COUNTS[c] // 4)]
    assert labels_by_picture(bundle, "train") == expected({name: train[name] for name in first})
    with pytest.raises(ValueError, match=r"`train_size` must be at most 24.* train_size=25"):
        data.image_folder(folder, train_size=25)


def test_noise_moves_training_labels_only(painted):
    folder, train, test = painted
    bundle = data.image_folder(folder, label_noise=0.5, validation=0.25)
    clean = expected(train)
    moved = [clean[image] != y for image, y in labels_by_picture(bundle, "train").items()]
    assert sum(moved) == bundle.noisy_labels == 9
    assert labels_by_picture(bundle, "validation").items() <= clean.items()
    assert labels_by_picture(bundle, "test") == expected(test)
    with pytest.raises(ValueError, match=r"people's labels are those of `cifar10`.*'worse'"):
        data.image_folder(folder, label_noise="worse")


@pytest.mark.parametrize("name", ["val", "validation"])
def test_another_name_of_the_test_folder(painted, name):
    folder, train, test = painted
    (folder / "test").rename(folder / name)
    check(folder, train, test)


@pytest.mark.parametrize("suffix", [".PNG", ".jpg", ".jpeg", ".bmp", ".gif"])
def test_formats(folder, suffix):
    """A plain picture is the same in each."""
    paint(folder / "test" / "ant" / f"99{suffix}", np.full((6, 5), 200, "uint8"))
    bundle = data.image_folder(folder)
    assert bundle.sizes["test"] == 7
    images = pixels(bundle, bundle.arrays["test"][0]).astype(int)
    assert (np.abs(images - 200) <= 1).all((1, 2, 3)).sum() == 1


def test_gray_pictures_have_one_channel_if_all_are_gray(folder):
    gray, modes = {}, ["L", "LA", "1"]
    for number, file in enumerate(sorted(folder.rglob("*.png"))):
        gray[file] = np.full((6, 5), 255 * (number % 2), "uint8")
        paint(file, gray[file], modes[number % 3])
    bundle = data.image_folder(folder)
    assert bundle.input_shape == (6, 5, 1)
    assert set(pixels(bundle, bundle.arrays["test"][0]).ravel()) == {0, 255}
    for mode in ("RGB", "RGBA", "P"):
        color = np.array([[[0, 255, 0]] * 5] * 6, "uint8")
        paint(folder / "test" / "bee" / "00.png", color, mode)
        bundle = data.image_folder(folder)
        assert bundle.input_shape == (6, 5, 3)
        images = pixels(bundle, bundle.arrays["test"][0])
        assert sorted(np.ptp(images, axis=-1).max((1, 2))) == [0] * 5 + [255]


def test_pictures_are_scaled_to_one_size(folder):
    paint(folder / "test" / "cat" / "01.png", np.full((12, 40, 3), 9, "uint8"))
    message = r"image_size=\(6, 5\).* train/cat/00.png of 6 x 5 .*01.png of 12 x 40"
    with pytest.raises(ValueError, match=message):
        data.image_folder(folder)
    bundle = data.image_folder(folder, image_size=(4, 8))
    assert bundle.input_shape == (4, 8, 3)
    images = pixels(bundle, bundle.arrays["test"][0])
    assert (images == 9).all((1, 2, 3)).sum() == 1
    for size, error in ((8, TypeError), ((4,), TypeError), ((4, 0), ValueError)):
        with pytest.raises(error, match="`image_size` must be"):
            data.image_folder(folder, image_size=size)

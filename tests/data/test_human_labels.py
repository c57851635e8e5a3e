"""What people called the images of CIFAR-10, for training."""

import csv
import shutil

import numpy as np
import pytest

from keras_zsharp import data
from keras_zsharp.data.catalogue import DATASETS
from tests.data.painted import labels_by_picture, paint_classes, zipped
from tests.real_data import real

CLASSES = DATASETS["cifar10"].folders
KINDS = ("aggregate", "random1", "worse")


def write(folder, rows, columns=("file", "clean", *KINDS)):
    with (folder / "human_labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def cifar(tmp_path):
    """A folder, its training pictures and those to test on by name, the rows of the file."""
    folder, random = tmp_path / "cifar", np.random.default_rng(0)
    train = paint_classes(folder / "train", dict.fromkeys(CLASSES, 4), (32, 32, 3))
    test = paint_classes(folder / "test", dict.fromkeys(CLASSES, 1), (32, 32, 3), seed=1)
    rows = [
        {"file": name, "clean": CLASSES.index(name.split("/")[1])}
        | dict(zip(KINDS, random.integers(0, 10, 3), strict=True))
        for name in train
    ]
    write(folder, reversed(rows))  # Rows are found by their names.
    return folder, train, test, rows


def expected(pictures, rows, kind):
    labels = {row["file"]: row[kind] for row in rows}
    return {image.tobytes(): labels[name] for name, image in pictures.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_labels_for_training_are_people_s(cifar, kind):
    folder, train, test, rows = cifar
    bundle = data.cifar10(data_dir=folder, label_noise=kind)
    assert labels_by_picture(bundle, "train") == expected(train, rows, kind)
    assert bundle.noisy_labels == sum(row[kind] != row["clean"] for row in rows) > 0
    clean = {image.tobytes(): CLASSES.index(name.split("/")[1]) for name, image in test.items()}
    assert labels_by_picture(bundle, "test") == clean


@pytest.mark.parametrize("label_noise", [0.0, "worse"])
def test_validation_has_true_labels(cifar, label_noise):
    folder, train, _, rows = cifar
    bundle = data.cifar10(data_dir=folder, label_noise=label_noise, train_size=30, validation=1 / 3)
    assert bundle.sizes == {"train": 20, "validation": 10, "test": 10}
    for split, kind in (("train", "worse" if label_noise else "clean"), ("validation", "clean")):
        assert labels_by_picture(bundle, split).items() <= expected(train, rows, kind).items()
    chosen = [row for row in rows if row["file"][-6:] in ("00.png", "01.png")]  # Two of each class.
    moved = sum(row["worse"] != row["clean"] for row in chosen)
    assert bundle.noisy_labels == (moved if label_noise else 0)


def test_pictures_are_normalized_as_ever(cifar):
    bundle = data.load("cifar10", data_dir=cifar[0])
    assert (bundle.mean, bundle.std) == (DATASETS["cifar10"].mean, DATASETS["cifar10"].std)
    assert (bundle.input_shape, bundle.class_names) == ((32, 32, 3), CLASSES)


def test_labels_lie_beside_a_zip(cifar, tmp_path):
    folder, train, _, rows = cifar
    place = tmp_path / "elsewhere"
    place.mkdir()
    file = zipped(folder, place / "images.zip")
    with pytest.raises(FileNotFoundError, match=r'"worse"` needs human_labels.csv .*elsewhere'):
        data.cifar10(data_dir=file, label_noise="worse")
    shutil.move(folder / "human_labels.csv", place)
    for data_dir in (file, place):
        bundle = data.cifar10(data_dir=data_dir, label_noise="worse")
        assert labels_by_picture(bundle, "train") == expected(train, rows, "worse")


def changed(number, **values):
    return lambda rows: [row | values if i == number else row for i, row in enumerate(rows)]


UNFIT = {
    "a row too few": (lambda rows: rows[1:], "Received: 39 rows, 1 pictures .*, such as train/air"),
    "a row too many": (
        lambda rows: [*rows, rows[0] | {"file": "train/cat/9.png"}],
        "for each of the 40 .* 41 rows, 0 pictures .* and 1 rows .*, such as train/cat/9.png",
    ),
    "twice": (lambda rows: [*rows, rows[5]], "not two for train/automobile/01.png"),
    "another class": (
        changed(7, clean=2),
        "Received: 2 for train/automobile/03.png, not 1",
    ),
    "no int": (changed(2, worse="cat"), r"ints as `clean` and `worse`. .* line 4: '0' and 'cat'"),
    "no label": (changed(2, worse=-1), r"worse, must have labels from 0 to 9. Received: -1 to"),
}


@pytest.mark.parametrize(("change", "message"), UNFIT.values(), ids=UNFIT)
def test_labels_that_do_not_fit(cifar, change, message):
    folder, _, _, rows = cifar
    write(folder, change(rows))
    with pytest.raises(ValueError, match=message):
        data.cifar10(data_dir=folder, label_noise="worse")


def test_a_column_is_missing(cifar):
    folder, _, _, rows = cifar
    write(folder, rows, ("file", "clean", "random1"))
    with pytest.raises(ValueError, match=r"the columns file, clean, worse. .*, without worse$"):
        data.cifar10(data_dir=folder, label_noise="worse")
    data.cifar10(data_dir=folder, label_noise="random1")


def test_labels_that_nobody_has_given(cifar):
    refused = r"`label_noise` must be a share in \[0, 1\]"
    with pytest.raises(ValueError, match=rf"{refused}, or one of 'worse', .*'random2'"):
        data.cifar10(data_dir=cifar[0], label_noise="random2")
    for other in (data.digits, data.svhn, data.cifar100):
        with pytest.raises(ValueError, match=rf"{refused}: people's .* of `cifar10` alone.*worse"):
            other(label_noise="worse")
    with pytest.raises(ValueError, match=r"`noise_draw` is of .* noise_draw='all' with lab.*worse"):
        data.cifar10(data_dir=cifar[0], label_noise="worse", noise_draw="all")


@pytest.mark.parametrize("counts", [{"cat": 1, "dog": 1}, dict.fromkeys(CLASSES, 1)])
def test_pictures_of_something_else(tmp_path, counts):
    for split in ("train", "test"):
        paint_classes(tmp_path / split, counts, (8, 8, 3))
    with pytest.raises(ValueError, match=r"`data_dir` must have color pictures of 32 x 32 .*8, 8"):
        data.cifar10(data_dir=tmp_path)


@pytest.mark.slow  # It decodes 20,000 pictures.
def test_shares_of_wrong_labels_are_those_of_the_paper():
    """Table 1 has 9.03, 17.23 and 40.21 % of 50,000 images. Here are the first of each class."""
    folder = real("cifar10/images.zip").parent
    for kind, share in (("aggregate", 0.0903), ("random1", 0.1723), ("worse", 0.4021)):
        bundle = data.cifar10(data_dir=folder, label_noise=kind)
        assert bundle.sizes["test"] == 10_000
        assert abs(bundle.noisy_labels / bundle.sizes["train"] - share) < 0.01

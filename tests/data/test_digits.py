import re

import numpy as np
import pytest
from sklearn.datasets import load_digits

from keras_zsharp.data import digits, symmetric_label_noise


def arrays(dataset):
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def test_all_digits_are_there_once():
    bundle = digits()
    images, labels = zip(arrays(bundle.train), arrays(bundle.test), strict=True)
    assert bundle.sizes == {"train": 1200, "test": 597}
    assert sum(map(len, labels)) == 1797
    assert len(np.unique(np.concatenate(images).reshape(1797, 64), axis=0)) == 1797
    assert bundle.input_shape == images[0].shape[1:] == (8, 8, 1)
    assert (images[0].min(), images[0].max()) == (-0.5, 0.5)


def test_they_are_those_of_scikit_learn():
    original = load_digits()
    expected = {
        (image.tobytes(), label)
        for image, label in zip(
            (original.images / 16 - 0.5).astype("float32"), original.target, strict=True
        )
    }
    splits = digits().arrays.values()
    found = {
        (image.tobytes(), label) for split in splits for image, label in zip(*split, strict=True)
    }
    assert found == expected


def test_the_arrays_are_what_the_datasets_give():
    bundle = digits(label_noise=0.4, validation=0.25)
    assert {name: len(labels) for name, (_, labels) in bundle.arrays.items()} == bundle.sizes
    for name in ("validation", "test"):
        for found, expected in zip(bundle.arrays[name], arrays(getattr(bundle, name)), strict=True):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
    images, labels = bundle.arrays["train"]
    found = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    assert found == by_image(bundle.train)


def by_image(dataset):
    return {image.tobytes(): label for image, label in zip(*arrays(dataset), strict=True)}


def test_noise_moves_training_labels_only():
    clean, noisy = digits(), digits(label_noise=0.4)
    assert noisy.noisy_labels == 480
    before, after = by_image(clean.train), by_image(noisy.train)
    assert before.keys() == after.keys()
    assert sum(before[image] != after[image] for image in before) == 480
    assert by_image(clean.test) == by_image(noisy.test)


def test_seed_decides_split_noise_and_order():
    def everything(seed):
        bundle = digits(label_noise=0.2, seed=seed)
        return [*arrays(bundle.train), *arrays(bundle.train), *arrays(bundle.test)]

    first, again, other = everything(1), everything(1), everything(2)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (first[0] != other[0]).any()
    assert (first[0] != first[2]).any()  # a new order in the second epoch
    assert (first[4] != other[4]).any()


def test_symmetric_noise_is_uniform_over_the_other_classes():
    labels = np.repeat(np.arange(5), 4000)
    noisy = symmetric_label_noise(labels, 0.5, classes=5, seed=1)
    assert (noisy != labels).sum() == 10000
    shares = np.array([np.bincount(noisy[labels == c], minlength=5) for c in range(5)]) / 4000
    np.testing.assert_allclose(shares, np.full((5, 5), 0.125) + 0.375 * np.eye(5), atol=0.03)


def test_symmetric_noise_of_all_classes():
    """At 80 % and 10 classes, 72 % of the labels are wrong."""
    labels = np.repeat(np.arange(10), 4000)
    noisy = symmetric_label_noise(labels, 0.8, classes=10, seed=1, draw="all")
    shares = np.array([np.bincount(noisy[labels == c], minlength=10) for c in range(10)]) / 4000
    np.testing.assert_allclose(shares, np.full((10, 10), 0.08) + 0.2 * np.eye(10), atol=0.03)
    bundle = digits(label_noise=0.8, noise_draw="all")
    clean = digits().arrays["train"][1]
    assert bundle.noisy_labels == (bundle.arrays["train"][1] != clean).sum() < 0.75 * 1200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, r"`batch_size` must be an int >= 1. Received: batch_size=0"),
        ({"train_size": 1797}, r"`train_size` must be in \[1, 1796\]. Received: train_size=1797"),
        ({"label_noise": 1.5}, r"`label_noise` must be in \[0, 1\]. Received: label_noise=1.5"),
        (
            {"noise_draw": "any"},
            "`noise_draw` must be 'others' or 'all'. Received: noise_draw='any'",
        ),
        ({"label_noise": np.nan}, r"`label_noise` must be in \[0, 1\]. Received: label_noise=nan"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        digits(**arguments)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([-1, 5, 7], ValueError, "`labels` must be in 0 to 9. Received: labels from -1 to 7"),
        ([0, 10], ValueError, "`labels` must be in 0 to 9. Received: labels from 0 to 10"),
        (np.eye(10, dtype=int), TypeError, "of dtype int64 and shape (10, 10)"),
        ([0.0, 1.0], TypeError, "of dtype float64 and shape (2,)"),
        (["cat"], TypeError, "of dtype <U3 and shape (1,)"),
        (3, TypeError, "of dtype int64 and shape ()"),
    ],
)
def test_what_is_no_label_is_not_moved(labels, error, message):
    for rate in (0.0, 0.5):
        with pytest.raises(error, match=re.escape(message)):
            symmetric_label_noise(labels, rate, classes=10)


@pytest.mark.parametrize(
    "arguments", [{"rate": True}, {"rate": "0.4"}, {"classes": 2.0}, {"seed": None}]
)
def test_wrong_types_of_label_noise(arguments):
    [name] = arguments
    with pytest.raises(TypeError, match=f"^`{name}` must be"):
        symmetric_label_noise([0, 1], **{"rate": 0.5, "classes": 2, **arguments})

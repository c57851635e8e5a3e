"""The batches of a dataset where TensorFlow is not installed, on each backend."""

import sys

import keras
import numpy as np
import pytest

import keras_zsharp
from keras_zsharp.callbacks import Backup
from keras_zsharp.data import array_augmentation, digits, load, pipeline
from keras_zsharp.data.catalogue import DATASETS
from keras_zsharp.data.library_layers import MIXED
from keras_zsharp.data.options import Options
from keras_zsharp.data.splits import InMemory
from tests.data.crops import possible


@pytest.fixture(autouse=True)
def _without_tensorflow(monkeypatch):
    monkeypatch.setattr(pipeline, "has_tensorflow", lambda: False)


def arrays(batches):
    images, labels = zip(*batches, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def colored(augment, label_noise=0.0, size=20):
    """A small dataset of color images, one of whose pixels tells its number."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (size, 32, 32, 3), dtype="uint8")
    split = InMemory(images, np.arange(size) % 10)
    options = Options(8, augment, label_noise, seed=0, validation=None)
    return pipeline.build(DATASETS["cifar10"], split, split, 10, options)


def test_examples_are_those_of_the_arrays():
    bundle = digits(label_noise=0.4, validation=0.25)
    for name in ("validation", "test"):
        found = arrays(getattr(bundle, name))
        for array, expected in zip(found, bundle.arrays[name], strict=True):
            assert array.dtype == expected.dtype
            np.testing.assert_array_equal(array, expected)
    found, expected = (
        sorted((image.tobytes(), label) for image, label in zip(*split, strict=True))
        for split in (arrays(bundle.train), bundle.arrays["train"])
    )
    assert found == expected
    assert [len(labels) for _, labels in bundle.train] == [64] * 14 + [4]
    with pytest.raises(IndexError, match=r"\[0, 14\]. Received: index=15"):
        bundle.train[15]


@pytest.mark.parametrize("augment", [None, "standard", "cutout", "mixup", "cutmix"])
def test_seed_and_epoch_decide_what_is_drawn(augment):
    def epochs(seed):
        bundle = digits(augment=augment, seed=seed, split_seed=0, train_size=100)
        return [arrays(bundle.train)[0] for _ in range(2)]

    (first, second), again, other = epochs(1), epochs(1), epochs(2)
    np.testing.assert_array_equal([first, second], again)
    assert (first != second).any()
    assert (first != other[0]).any()


def test_a_batch_is_the_same_in_whatever_order_batches_are_read():
    one, other = colored("cutout"), colored("cutout")
    forwards = [one.train[index] for index in range(3)]
    backwards = [other.train[index] for index in reversed(range(3))]
    for left, right in zip(forwards, reversed(backwards), strict=True):
        np.testing.assert_array_equal(left[0], right[0])


@pytest.mark.parametrize("flip", [False, True])
def test_each_image_gets_a_crop_of_its_own(flip):
    images = np.random.default_rng(0).integers(1, 256, (64, 6, 9, 3), dtype="uint8")
    cropped = array_augmentation.crop_and_flip(images, np.random.default_rng(0), 2, flip)
    assert cropped.dtype == "uint8"
    outcomes = {
        [np.array_equal(after, crop) for crop in possible(before, 2, flip)].index(True)
        for before, after in zip(images, cropped, strict=True)
    }
    assert len(outcomes) > 0.6 * min(25 * (1 + flip), 64)


def test_cutout_hides_one_square_of_some_images():
    images = np.ones((4000, 12, 15, 2), "float32")
    hidden = array_augmentation.cutout(images, np.random.default_rng(0), 4, 0.5) == 0
    assert (hidden[..., 0] == hidden[..., 1]).all()
    hidden = hidden[..., 0]
    rows, columns = hidden.any(axis=2).sum(axis=1), hidden.any(axis=1).sum(axis=1)
    assert (hidden.sum(axis=(1, 2)) == rows * columns).all()
    assert set(rows) == set(columns) == {0, 2, 3, 4}
    assert 0.47 < (rows > 0).mean() < 0.53


@pytest.mark.parametrize("augment", MIXED)
def test_mixed_labels_are_shares(augment):
    bundle = colored(augment)
    images, labels = arrays(bundle.train)
    assert images.dtype == labels.dtype == "float32"
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-5)
    assert ((labels > 0).sum(axis=1) == 2).sum() > 5
    assert set(arrays(bundle.test)[1].ravel()) == {0.0, 1.0}


@pytest.mark.matrix  # tens of seconds on JAX
def test_rand_augment_changes_images_and_keeps_labels():
    images, labels = arrays(colored("randaugment").train)
    standard, expected = arrays(colored("standard").train)
    np.testing.assert_array_equal(labels, expected)
    changed = (images != standard).any(axis=(1, 2, 3))
    assert changed.sum() > 10


def test_datasets_of_tensorflow_are_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match=r"package tensorflow: pip install .*\[datasets\]"):
        load("cifar10")


def compiled():
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Flatten(), keras.layers.Dropout(0.2), keras.layers.Dense(10)]
    net = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    model = keras_zsharp.SharpnessAwareModel(net, "friendly_sam")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(0.01), loss, metrics=["accuracy"])
    return model


class Killed(BaseException):
    """What ends a run in this process."""


def die(epoch, logs):
    if epoch == 2:
        raise Killed


def trained(folder, *callbacks, with_order, epochs=4):
    model, bundle = compiled(), digits(augment="cutout", label_noise=0.2)
    model.fit(
        bundle.train,
        validation_data=bundle.test,
        epochs=epochs,
        verbose=0,
        callbacks=[Backup(folder), *callbacks, *[bundle.epoch_order] * with_order],
    )
    return [np.array(keras.ops.convert_to_numpy(v)) for v in model.weights], model.history.history


@pytest.mark.parametrize("with_order", [True, False])
def test_a_resumed_run_ends_with_the_same_bits(with_order, tmp_path):
    expected, whole = trained(tmp_path / "whole", with_order=with_order)
    assert whole["val_accuracy"][-1] > 0.7
    killer = keras.callbacks.LambdaCallback(on_epoch_begin=die)
    with pytest.raises(Killed):
        trained(tmp_path / "killed", killer, with_order=with_order)
    found, rest = trained(tmp_path / "killed", with_order=with_order)
    assert rest["loss"] == whole["loss"][2:]
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(left, right)

import functools

import keras
import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_zsharp import data
from keras_zsharp.data.catalogue import DATASETS
from keras_zsharp.data.library_layers import MIXED
from tests.data.stored import plain_images, random_images, store
from tests.tiers import crossed

CLASSES = {
    "cifar10": 10,
    "cifar100": 100,
    "tiny_imagenet": 200,
    "svhn": 10,
    "fashion_mnist": 10,
    "oxford_iiit_pet": 37,
    "oxford_flowers102": 102,
    "cars196": 196,
    "imagenet2012": 1000,
}
SIDES = {"cifar10": 32, "cifar100": 32, "svhn": 32, "fashion_mnist": 28, "tiny_imagenet": 64}


def arrays(dataset):
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def pixels(bundle, images):
    """The pixels that normalized images come from."""
    return np.rint(images * np.array(bundle.std) + np.array(bundle.mean)).astype("uint8")


def labels_by_color(bundle, dataset):
    """The labels of images of one color each, whatever crop was taken of them."""
    images, labels = arrays(dataset)
    return dict(zip(pixels(bundle, images)[:, 0, 0, 0].tolist(), labels.tolist(), strict=True))


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifar")
    train, test = random_images(60, (32, 32, 3)), random_images(20, (32, 32, 3), seed=1)
    store(folder, "cifar10", train, test, shape=(32, 32, 3))
    return folder, train, test


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flowers")
    train, test = plain_images(40), plain_images(12, seed=1)
    store(folder, "oxford_flowers102", train, test)
    return folder, train, test


def test_the_catalogue_is_whole():
    assert set(DATASETS) == set(CLASSES)
    assert ("digits", *CLASSES) == data.NAMES


@pytest.mark.parametrize("name", crossed(CLASSES, default=["cifar10", "cars196"]))
def test_every_dataset_through_tensorflow_datasets_mocks(name, tmp_path):
    with tfds.testing.mock_data(num_examples=9):
        bundle = data.load(name, batch_size=4, label_noise=0.3, data_dir=tmp_path)
    side, channels = SIDES.get(name, 224), 1 if name == "fashion_mnist" else 3
    assert bundle.input_shape == (side, side, channels)
    assert bundle.classes == CLASSES[name]
    assert bundle.sizes == {"train": 9, "test": 9}
    assert bundle.noisy_labels == 3
    for part in (bundle.train, bundle.test):
        assert len(part) == 3
        images, labels = arrays(part)
        assert images.shape == (9, side, side, channels)
        assert (images.dtype, labels.dtype, labels.shape) == ("float32", "int64", (9,))
        assert np.abs(images).max() < 5
        assert labels.min() >= 0
        assert labels.max() < CLASSES[name]
    assert bundle.validation is None
    assert not bundle.one_hot


@pytest.mark.parametrize(
    "name",
    crossed(
        ["cifar10", "cifar100", "svhn", "fashion_mnist", "tiny_imagenet"], default=["tiny_imagenet"]
    ),
)
def test_functions_by_name(name, tmp_path):
    function = getattr(data, name)
    with tfds.testing.mock_data(num_examples=5):
        bundle = function(batch_size=2, data_dir=tmp_path)
        same = data.load(name, batch_size=2, data_dir=tmp_path)
    assert bundle.classes == CLASSES[name]
    for left, right in zip(arrays(bundle.train), arrays(same.train), strict=True):
        np.testing.assert_array_equal(left, right)


def test_small_images_are_all_there_once(cifar):
    folder, train, test = cifar
    bundle = data.load("cifar10", batch_size=16, augment=None, data_dir=folder)
    for part, stored in ((bundle.train, train), (bundle.test, test)):
        images, labels = arrays(part)
        found = {i.tobytes(): y for i, y in zip(pixels(bundle, images), labels, strict=True)}
        assert found == {image.tobytes(): label for image, label in stored}
    images, _ = arrays(bundle.test)
    np.testing.assert_array_equal(pixels(bundle, images), [image for image, _ in test])


def test_validation_is_held_out_before_the_noise(cifar):
    folder, train, _ = cifar
    bundle = data.load(
        "cifar10", augment=None, validation=0.25, label_noise=0.4, seed=3, data_dir=folder
    )
    assert bundle.sizes == {"train": 45, "validation": 15, "test": 20}
    assert bundle.noisy_labels == 18
    images, labels = arrays(bundle.validation)
    np.testing.assert_array_equal(pixels(bundle, images), [image for image, _ in train[45:]])
    np.testing.assert_array_equal(labels, [label for _, label in train[45:]])
    images, labels = arrays(bundle.train)
    clean = {image.tobytes(): label for image, label in train[:45]}
    moved = [
        clean[image.tobytes()] != label
        for image, label in zip(pixels(bundle, images), labels, strict=True)
    ]
    assert sum(moved) == 18


@pytest.mark.parametrize("name", ["cifar", "flowers"])
def test_the_first_training_examples(name, request):
    folder, train, test = request.getfixturevalue(name)
    tfds_name = {"cifar": "cifar10", "flowers": "oxford_flowers102"}[name]
    load = functools.partial(data.load, tfds_name, augment=None, data_dir=folder)
    part = load(train_size=30, validation=0.2)
    assert part.sizes == {"train": 24, "validation": 6, "test": len(test)}
    assert sorted(arrays(part.train)[1]) == sorted(label for _, label in train[:24])
    assert arrays(part.validation)[1].tolist() == [label for _, label in train[24:30]]
    assert load(train_size=len(train)).sizes == load().sizes
    with pytest.raises(ValueError, match=f"`train_size` must be at most {len(train)}"):
        load(train_size=len(train) + 1)


def test_the_digits_take_a_size_too():
    assert data.load("digits", train_size=100).sizes == {"train": 100, "test": 1697}


@pytest.mark.parametrize("augment", crossed([None, "standard", "cutout"], default=["cutout"]))
def test_training_batches_follow_the_seed(cifar, augment):
    def epochs(seed):
        bundle = data.load("cifar10", batch_size=16, augment=augment, seed=seed, data_dir=cifar[0])
        return [arrays(bundle.train)[0] for _ in range(2)]

    first, again, other = epochs(1), epochs(1), epochs(2)
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any()
    assert (first[0] != other[0]).any()


def epochs(bundle, count):
    return [arrays(bundle.train) for _ in range(count)]


@pytest.mark.parametrize(
    ("name", "augment"),
    crossed(
        [
            ("cifar", None),
            ("cifar", "standard"),
            ("cifar", "cutout"),
            ("flowers", "standard"),
            ("digits", "cutout"),
        ],
        default=[("cifar", "standard"), ("digits", "cutout")],
    ),
)
def test_a_resumed_run_reads_what_it_would_have_read(name, augment, request):
    tfds_name = {"cifar": "cifar10", "flowers": "oxford_flowers102", "digits": "digits"}[name]
    folder = None if name == "digits" else request.getfixturevalue(name)[0]
    loaded = functools.partial(
        data.load, tfds_name, 16, augment, label_noise=0.2, seed=5, data_dir=folder
    )
    expected = epochs(loaded(), 4)
    keras.utils.set_random_seed(1)  # another process need not have the same
    second = loaded()
    second.epoch_order.on_epoch_begin(2)
    for left, right in zip(expected[2:], epochs(second, 2), strict=True):
        np.testing.assert_array_equal(left[0], right[0])
        np.testing.assert_array_equal(left[1], right[1])
    assert len({images.tobytes() for images, _ in expected}) == 4


def test_what_is_read_in_between_does_not_shift_the_epochs():
    bundle = data.digits(64, 128)
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(next(iter(bundle.train))[1].numpy())

    def weights(*callbacks):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])
        model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
        model.fit(bundle.train, epochs=3, callbacks=[bundle.epoch_order, *callbacks], verbose=0)
        return model.get_weights()

    for left, right in zip(weights(), weights(Look()), strict=True):
        np.testing.assert_array_equal(left, right)
    assert len(seen) == 3


def test_the_second_epoch_augments_anew(cifar):
    """Not only its order is new: the same image gets another crop."""
    bundle = data.load("cifar10", batch_size=60, augment="standard", data_dir=cifar[0])
    epochs = [
        {image.tobytes() for image in pixels(bundle, arrays(bundle.train)[0])} for _ in range(2)
    ]
    assert len(epochs[0] & epochs[1]) < 20


def test_large_images_keep_their_labels(flowers):
    folder, train, test = flowers
    bundle = data.load("oxford_flowers102", batch_size=16, validation=0.2, data_dir=folder)
    assert bundle.sizes == {"train": 32, "validation": 8, "test": 12}
    expected = {int(image[0, 0, 0]): label for image, label in train}
    validation = {int(image[0, 0, 0]): label for image, label in train[32:]}
    assert labels_by_color(bundle, bundle.train) == {
        color: label for color, label in expected.items() if color not in validation
    }
    assert labels_by_color(bundle, bundle.validation) == validation
    assert labels_by_color(bundle, bundle.test) == {int(i[0, 0, 0]): y for i, y in test}


def test_noise_of_large_images_stays_with_the_image(flowers):
    folder, train, test = flowers
    bundle = data.load("oxford_flowers102", label_noise=0.5, data_dir=folder)
    clean = {int(image[0, 0, 0]): label for image, label in train}
    first, second = (labels_by_color(bundle, bundle.train) for _ in range(2))
    assert bundle.noisy_labels == sum(first[color] != clean[color] for color in clean) == 20
    assert first == second
    assert labels_by_color(bundle, bundle.test) == {int(i[0, 0, 0]): y for i, y in test}


def test_large_images_are_cropped_at_random_and_in_the_middle(tmp_path):
    columns = np.repeat(np.linspace(0, 255, 160).astype("uint8")[None, :, None], 80, axis=0)
    image = np.repeat(columns, 3, axis=2)  # 80 pixels high, 160 wide, brighter to the right
    store(tmp_path, "oxford_flowers102", [(image, 0)] * 30, [(image, 0)])
    bundle = data.load("oxford_flowers102", augment=None, data_dir=tmp_path)
    [crop] = pixels(bundle, arrays(bundle.test)[0])
    expected = np.linspace(*image[0, [45, 114], 0], 224)
    np.testing.assert_allclose(crop[..., 0], np.broadcast_to(expected, (224, 224)), atol=2)
    crops = pixels(bundle, arrays(bundle.train)[0])[:, 0, :, 0].astype(float)
    shares = (crops[:, -1] - crops[:, 0]) / 255
    assert len(np.unique(crops[:, 0])) > 15
    assert 0.1 < shares.min() < shares.max() <= 1
    assert (shares > 0).all()  # `augment=None` mirrors nothing


def needs(augment):
    if augment == "cutmix" and not hasattr(keras.layers, "CutMix"):
        pytest.skip(f"Keras {keras.__version__} has no CutMix")


@pytest.mark.parametrize("augment", crossed(MIXED, default=["mixup"]))
def test_mixed_labels_are_shares(cifar, augment):
    needs(augment)
    bundle = data.load("cifar10", 20, augment, validation=0.2, data_dir=cifar[0])
    assert bundle.one_hot
    images, labels = arrays(bundle.train)
    assert images.dtype == labels.dtype == "float32"
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-5)
    assert ((labels > 0).sum(axis=1) == 2).sum() > 10
    assert set(arrays(bundle.test)[1].ravel()) == {0.0, 1.0}
    assert set(arrays(bundle.validation)[1].ravel()) == {0.0, 1.0}


@pytest.mark.matrix
def test_rand_augment_changes_images_and_keeps_labels(cifar):
    bundle = data.load("cifar10", 20, "randaugment", data_dir=cifar[0])
    images, labels = arrays(bundle.train)
    assert sorted(labels) == sorted(label for _, label in cifar[1])
    low, high = -np.array(bundle.mean) / bundle.std, (255 - np.array(bundle.mean)) / bundle.std
    assert ((images >= low - 1e-3) & (images <= high + 1e-3)).all()
    standard = {i.tobytes() for i in arrays(data.load("cifar10", 20, data_dir=cifar[0]).train)[0]}
    assert sum(image.tobytes() in standard for image in images) < 30


def test_a_layer_that_keras_lacks(cifar, monkeypatch):
    monkeypatch.delattr(keras.layers, "CutMix", raising=False)
    with pytest.raises(ImportError, match=r"newer Keras than .*, which has no CutMix: pip install"):
        data.load("cifar10", augment="cutmix", data_dir=cifar[0])

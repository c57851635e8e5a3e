import numpy as np
import pytest
import tensorflow as tf

from keras_zsharp.data.augmentation import crop_and_flip, cutout, normalize
from tests.data.crops import possible

SEED = tf.constant([1, 2])
IMAGES = np.random.default_rng(0).integers(1, 256, (64, 6, 9, 3), dtype="uint8")


@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("flip", [False, True])
def test_each_image_gets_a_crop_of_its_own(padding, flip):
    outcomes = set()
    for before, after in zip(IMAGES, crop_and_flip(IMAGES, SEED, padding, flip), strict=True):
        matches = [np.array_equal(after, crop) for crop in possible(before, padding, flip)]
        outcomes.add(matches.index(True))
        assert after.dtype == "uint8"
    choices = (2 * padding + 1) ** 2 * (1 + flip)
    assert len(outcomes) > 0.6 * min(choices, len(IMAGES))


def test_crops_and_mirrors_are_uniform_and_independent():
    """An image whose crop tells where it was taken, mirrored or not."""
    count, padding = 20_000, 1
    image = np.arange(1, 10).reshape(3, 3, 1).astype("uint8")
    crops = crop_and_flip(np.repeat(image[None], count, axis=0), SEED, padding, flip=True)
    _, counts = np.unique(np.reshape(crops, (count, 9)), axis=0, return_counts=True)
    assert len(counts) == 18
    np.testing.assert_allclose(counts / count, 1 / 18, atol=0.006)


@pytest.mark.parametrize("size", [3, 4, 16])
def test_cutout_hides_one_square(size):
    height, width = 12, 15
    shown = cutout(np.ones((2000, height, width, 2), "float32"), SEED, size).numpy()
    assert (shown[..., 0] == shown[..., 1]).all()
    hidden = shown[..., 0] == 0
    assert set(np.unique(shown)) <= {0.0, 1.0}
    for along, pixels in ((2, height), (1, width)):
        lengths = hidden.any(axis=along).sum(axis=1)
        ends = np.clip(np.arange(pixels) + size - size // 2, 0, pixels)
        starts = np.clip(np.arange(pixels) - size // 2, 0, pixels)
        # Every centre is equally likely, so the mean length is that over all centres.
        np.testing.assert_allclose(lengths.mean(), (ends - starts).mean(), rtol=0.03)
        assert set(lengths) == set(ends - starts)
    areas = hidden.any(axis=2).sum(axis=1) * hidden.any(axis=1).sum(axis=1)
    assert (hidden.sum(axis=(1, 2)) == areas).all()


def test_cutout_of_every_second_image():
    images = np.ones((4000, 8, 8, 1), "float32")
    always, half = (cutout(images, SEED, 4, probability).numpy() for probability in (1.0, 0.5))
    untouched = half.all(axis=(1, 2, 3))
    assert 0.47 < untouched.mean() < 0.53
    np.testing.assert_array_equal(half[~untouched], always[~untouched])


def test_draws_follow_the_seed():
    images = np.random.default_rng(0).normal(size=(32, 32, 32, 3)).astype("float32")
    for augment in (crop_and_flip, cutout):
        first, again, other = (augment(images, seed).numpy() for seed in (SEED, SEED, SEED + 1))
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()


def test_normalize():
    mean, std = (10.0, 20.0, 30.0), (1.0, 2.0, 4.0)
    np.testing.assert_allclose(
        normalize(IMAGES, mean, std), (IMAGES.astype("float64") - mean) / std, atol=1e-4
    )
    assert normalize(IMAGES, mean, std).dtype == tf.float32

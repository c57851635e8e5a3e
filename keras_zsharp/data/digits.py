import numpy as np

from keras_zsharp.checks import count, positive_int
from keras_zsharp.data import pipeline
from keras_zsharp.data.catalogue import Dataset
from keras_zsharp.data.splits import InMemory

SIZE, CLASSES = 1797, 10
DIGITS = Dataset("digits", mean=(8.0,), std=(16.0,), padding=1, cutout=4, flip=False, top=16)


def digits(
    batch_size=64,
    train_size=1200,
    label_noise=0.0,
    seed=0,
    *,
    augment=None,
    validation=None,
    split_seed=None,
    noise_draw="others",
):
    """The 1,797 real handwritten digits that come with scikit-learn: no download.

    Images are float32 of shape (8, 8, 1), scaled to x / 16 - 0.5, labels int64 of shape (). Without
    TensorFlow, train on `bundle.arrays`.

    Args:
        batch_size: Examples per batch, >= 1; the last batch may be smaller.
        train_size: Examples in the training part, from 1 to 1796; the rest is for testing.
        label_noise: Share of training labels moved to another class, in [0, 1]. Test labels stay.
        seed: Seed of the split, of the noise, of the order and the augmentation in training.
        augment: As in `load`; a crop moves the digit by up to 1 pixel, nothing is mirrored, cutout
            hides 4 x 4 pixels.
        validation: Share of the training part to hold out, in (0, 1), or None.
        split_seed: Seed of the split alone, for runs with different seeds to be tested on the same
            images; by default `seed`.
        noise_draw: What the moved labels are drawn from: `draw` of `symmetric_label_noise`.

    Returns:
        A `DatasetBundle`.

    Raises:
        ImportError: scikit-learn is missing.
        TypeError, ValueError: An argument is of the wrong type, or outside of its bounds.

    >>> bundle = digits(label_noise=0.4)
    >>> bundle.sizes, bundle.noisy_labels
    ({'train': 1200, 'test': 597}, 480)
    """
    options = pipeline.Options(batch_size, augment, label_noise, seed, validation, noise_draw)
    train_size = positive_int("train_size", train_size)
    if train_size >= SIZE:
        raise ValueError(f"`train_size` must be in [1, {SIZE - 1}]. Received: {train_size=}")
    split_seed = options.seed if split_seed is None else count("split_seed", split_seed)
    images, labels = _load()
    order = np.random.default_rng(split_seed).permutation(SIZE)
    train, test = (
        InMemory(images[part], labels[part]) for part in (order[:train_size], order[train_size:])
    )
    return pipeline.build(DIGITS, train, test, CLASSES, options)


def _load():
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "The digits come with scikit-learn: pip install 'keras-zsharp[datasets]'"
        ) from error
    data = load_digits()
    return data.images[..., None].astype("uint8"), data.target.astype("int64")

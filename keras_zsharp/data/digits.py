import numpy as np
import tensorflow as tf

from keras_zsharp.data.bundle import DatasetBundle
from keras_zsharp.data.noise import symmetric_label_noise

SIZE, CLASSES = 1797, 10


def digits(batch_size=64, train_size=1200, label_noise=0.0, seed=0):
    """The 1,797 real handwritten digits that come with scikit-learn: no download.

    Images are float32 of shape (8, 8, 1), scaled to x / 16 - 0.5, labels int64 of shape ().

    Args:
        batch_size: Examples per batch, >= 1; the last batch may be smaller.
        train_size: Examples in the training part, from 1 to 1796; the rest is for testing.
        label_noise: Share of training labels moved to another class, in [0, 1]. Test labels stay.
        seed: Seed of the split, of the noise and of the order in training.

    Returns:
        A `DatasetBundle`.

    Raises:
        ImportError: scikit-learn is missing.
        ValueError: An argument is outside of its bounds.

    >>> bundle = digits(label_noise=0.4)
    >>> bundle.sizes, bundle.noisy_labels
    ({'train': 1200, 'test': 597}, 480)
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be >= 1. Received: batch_size={batch_size}")
    if not 1 <= train_size < SIZE:
        raise ValueError(f"`train_size` must be in [1, {SIZE - 1}]. Received: {train_size=}")
    if not 0 <= label_noise <= 1:
        raise ValueError(f"`label_noise` must be in [0, 1]. Received: {label_noise=}")
    images, labels = _load()
    order = np.random.default_rng(seed).permutation(SIZE)
    train, test = order[:train_size], order[train_size:]
    noisy = symmetric_label_noise(labels[train], label_noise, CLASSES, seed)
    return DatasetBundle(
        train=tf.data.Dataset.from_tensor_slices((images[train], noisy))
        .shuffle(train_size, seed=seed)
        .batch(batch_size)
        .prefetch(tf.data.AUTOTUNE),
        test=tf.data.Dataset.from_tensor_slices((images[test], labels[test]))
        .batch(batch_size)
        .prefetch(tf.data.AUTOTUNE),
        classes=CLASSES,
        input_shape=images.shape[1:],
        sizes={"train": len(train), "test": len(test)},
        noisy_labels=int((noisy != labels[train]).sum()),
    )


def _load():
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "The digits come with scikit-learn: pip install 'keras-zsharp[datasets]'"
        ) from error
    data = load_digits()
    return (data.images[..., None] / 16 - 0.5).astype("float32"), data.target.astype("int64")

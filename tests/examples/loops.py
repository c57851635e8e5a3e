"""What the loops of one's own are compared with `fit` by."""

import keras
import numpy as np
from keras import layers

from keras_zsharp import rules

STEPS = 3


def net():
    """With all that a loop of one's own may forget: statistics, noise, a regularizer.

    A bias before BatchNormalization would have gradients of rounding errors, which Adam blows up.
    """
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(8, use_bias=False, kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.5, seed=1),
            layers.Dense(3),
        ]
    )


def batches():
    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        yield rng.normal(size=(8, 4)).astype("float32"), rng.integers(0, 3, 8)


RULES = [name for name in rules.RULES if name not in ("look_sam", "msam", "random_sam")]

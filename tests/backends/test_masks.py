"""Metrics see the mask of the predictions, as in plain Keras."""

import keras
import numpy as np
import pytest

from keras_zsharp import SAM, SharpnessAwareModel, sharpness_aware

WORDS = np.random.default_rng(0).integers(0, 5, (12, 6))
OPTIONS = {"whole": {}, "parts": {"micro_batches": 3, "mean_of_parts": True}}
WAYS = {"wrapper": SharpnessAwareModel, "in place": sharpness_aware}


def tagger():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.layers.Embedding(5, 4, mask_zero=True), keras.layers.Dense(5, activation="softmax")]
    )


def logs(model, eagerly):
    rate = keras.optimizers.SGD(0.0)  # Parts have other means than the whole, and train otherwise.
    model.compile(
        rate,
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighted_metrics=["sparse_categorical_crossentropy"],
        run_eagerly=eagerly,
    )
    found = model.fit(WORDS, WORDS, batch_size=6, shuffle=False, verbose=0).history
    return {name: values for name, values in found.items() if name not in ("loss", "sharpness")}


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("way", WAYS)
def test_metrics_leave_out_what_is_masked(way, option, eagerly):
    own = WAYS[way](tagger(), SAM(0.05), **OPTIONS[option])
    expected = logs(tagger(), eagerly)
    for name, value in logs(own, eagerly).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-6, err_msg=name)

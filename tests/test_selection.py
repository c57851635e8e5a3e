import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_zsharp.selection import kth_largest, zscore_mask

SIZES = (1, 3, 20, 101, 1000, 4097)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize("size", SIZES)
def test_kth_largest_equals_sorting(size, dtype):
    x = keras.ops.cast(np.random.default_rng(size).normal(size=size).round(2), dtype)
    ordered = np.sort(keras.ops.convert_to_numpy(keras.ops.cast(x, "float64")))
    for k in {1, size // 20 + 1, size // 2 + 1, size}:
        assert float(kth_largest(x, k)) == ordered[size - k]


@pytest.mark.parametrize("q_p", [0.05, 0.5, 0.75, 0.95, 0.953, 0.99, 1.0])
@pytest.mark.parametrize("size", SIZES)
def test_mask_keeps_the_documented_count(size, q_p):
    gradient = np.random.default_rng(size).exponential(size=size).astype("float32")
    mask = keras.ops.convert_to_numpy(zscore_mask(gradient, q_p))
    assert mask.sum() == size - 1 - int(np.floor((size - 1) * q_p))


@pytest.mark.parametrize("q_p", [0.5, 0.9, 0.95])
def test_mask_is_the_quantile_of_absolute_z_scores(q_p):
    gradient = np.random.default_rng(0).normal(0.3, 2.0, size=(3, 3, 8, 16)).astype("float32")
    z = np.abs((gradient - gradient.mean(dtype="float64")) / (gradient.std(dtype="float64") + 1e-8))
    np.testing.assert_array_equal(zscore_mask(gradient, q_p), z > np.quantile(z, q_p))


@pytest.mark.parametrize("gradient", [np.zeros((4, 5)), np.full((4, 5), 0.1), np.ones((1, 1))])
def test_nothing_stands_out_of_a_constant(gradient):
    assert not keras.ops.convert_to_numpy(zscore_mask(gradient.astype("float32"), 0.5)).any()


def test_two_elements_are_tied():
    assert not keras.ops.convert_to_numpy(zscore_mask(np.float32([[1, 5]]), 0.5)).any()


def test_ties_at_the_cut_are_dropped():
    gradient = np.float32([[1, -1, 1, -1, 1, -1, 1, -1, 3, -3]])
    assert keras.ops.convert_to_numpy(zscore_mask(gradient, 0.5)).sum() == 2
    assert keras.ops.convert_to_numpy(zscore_mask(gradient, 0.95)).sum() == 0


@pytest.mark.parametrize("jit_compile", [False, True])
def test_mask_in_a_graph(jit_compile):
    gradient = np.random.default_rng(0).normal(size=(64, 33)).astype("float32")
    traced = tf.function(lambda g: zscore_mask(g, 0.95), jit_compile=jit_compile)
    np.testing.assert_array_equal(traced(tf.constant(gradient)), zscore_mask(gradient, 0.95))

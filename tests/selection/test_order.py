import functools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_zsharp.selection import masks, search
from keras_zsharp.selection.masks import zscore_masks
from keras_zsharp.selection.order import kth_largest
from tests.tiers import crossed

in_every_mode = pytest.mark.parametrize(
    "mode", crossed(["eager", "graph", "xla"], default=["eager", "graph"])
)


def zscore_mask(gradient, q_p):
    [mask] = zscore_masks([keras.ops.convert_to_tensor(gradient)], q_p)
    return mask


SIZES = (1, 3, 20, 101, 1000, 4097)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize("size", SIZES)
def test_kth_largest_equals_sorting(size, dtype):
    x = keras.ops.cast(np.random.default_rng(size).normal(size=size).round(2), dtype)
    ordered = np.sort(keras.ops.convert_to_numpy(keras.ops.cast(x, "float64")))
    for k in {1, size // 20 + 1, size // 2 + 1, size}:
        assert float(kth_largest(x, k)) == ordered[size - k]


def rows(kind, size):
    """Three rows of floats that are hard for a search in their own way."""
    random = np.random.default_rng(size)
    x = random.normal(size=(3, size)).astype("float32")
    with np.errstate(divide="ignore"):
        return {
            "normal": x,
            "positive": np.abs(x),
            "heavy tails": random.standard_cauchy((3, size)).astype("float32"),
            "far apart": np.float32(10) ** random.uniform(-40, 38, (3, size)).astype("float32"),
            "ties": x.round(1),
            "two values": np.float32(random.random((3, size)) < 0.05),
            "constant": np.full((3, size), -0.1, "float32"),
            "mostly zero": x * (random.random((3, size)) < 0.03),
            "infinities": np.float32(1) / x.round(1),
            "two clusters": np.where(x > 0, x * np.float32(1e-6) + 1, x * np.float32(1e-6)),
            "sorted": np.sort(x, axis=1),
            "bfloat16": (np.abs(x).view("int32") & -0x10000).view("float32"),
        }[kind]


KINDS = """normal,positive,heavy tails,far apart,ties,two values,constant,mostly zero,infinities,
two clusters,sorted,bfloat16""".replace("\n", "").split(",")


@functools.cache
def finding(k, mode):
    """`kth_largest` of that k, traced once for all inputs."""
    find = functools.partial(kth_largest, k=k)
    return find if mode == "eager" else tf.function(find, jit_compile=mode == "xla")


@pytest.mark.parametrize(
    ("mode", "size"),
    crossed(
        [("eager", 1025), ("eager", 60_001), ("graph", 5000), ("xla", 5000)],
        default=[("eager", 1025), ("eager", 60_001), ("graph", 5000)],
    ),
)
@pytest.mark.parametrize("kind", KINDS)
def test_search_equals_sorting(kind, size, mode):
    x = rows(kind, size)
    ordered = np.sort(x, axis=1)
    for k in (1, 7, size // 20, size // 2, size) if mode == "eager" else (7, size // 20):
        np.testing.assert_array_equal(finding(k, mode)(tf.constant(x)), ordered[:, size - k])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_search_in_half_precision(dtype):
    x = keras.ops.cast(rows("normal", 20_000), dtype)
    ordered = np.sort(keras.ops.convert_to_numpy(keras.ops.cast(x, "float32")), axis=1)
    found = kth_largest(x, 1000)
    assert found.dtype == dtype
    np.testing.assert_array_equal(keras.ops.cast(found, "float32"), ordered[:, 19_000])


def test_nan_counts_as_the_largest():
    x = rows("normal", 5000)
    x[1, :3] = np.nan
    ordered = np.sort(x, axis=1)
    for k in (1, 3, 4, 2000):
        np.testing.assert_array_equal(kth_largest(x, k), ordered[:, 5000 - k])


def counted_passes(monkeypatch):
    """A list that grows with every pass over the data."""
    passes = []
    for name in ("_above", "_nearest"):
        method = getattr(search._Search, name)
        monkeypatch.setattr(
            search._Search, name, lambda *args, of=method: passes.append(of) or of(*args)
        )
    return passes


def test_a_gradient_takes_few_passes(monkeypatch):
    passes = counted_passes(monkeypatch)
    for seed in range(5):
        x = np.abs(np.random.default_rng(seed).standard_t(4, (1, 300_000)).astype("float32"))
        kth_largest(x, 15_000)
    assert len(passes) <= 5 * 6


@pytest.mark.parametrize("kind", KINDS)
def test_hard_rows_take_a_bounded_number_of_passes(kind, monkeypatch):
    passes = counted_passes(monkeypatch)
    kth_largest(rows(kind, 60_001), 3000)
    assert len(passes) <= 60


@in_every_mode
def test_rows_of_several_lengths_are_searched_together(mode):
    """Each with a rank of its own; -1 fills up a row whose end is missing."""
    sizes = [(2, 4096), (1, 70_001), (3, 33), (1, 1025)]
    groups = [np.abs(rows("heavy tails", n)[:r]).view("int32") for r, n in sizes]
    groups[0][1, 1000:] = search.BELOW
    ranks = [np.arange(r, dtype="int32") * 6 + 20 for r, _ in sizes]
    find = search.kth_largest_keys
    if mode != "eager":
        find = tf.function(find, jit_compile=mode == "xla", autograph=False)
    found = find([tf.constant(keys) for keys in groups], [tf.constant(k) for k in ranks])
    for keys, k, ours in zip(groups, ranks, found, strict=True):
        ordered = np.sort(keys, axis=1)[:, ::-1]
        np.testing.assert_array_equal(ours, np.take_along_axis(ordered, k[:, None] - 1, 1)[:, 0])


@in_every_mode
def test_masks_of_many_gradients_are_those_of_each(mode):
    """Also where they are stacked with longer ones."""
    random = np.random.default_rng(0)
    shapes = [(3, 3, 16, 16), (40, 50), (3, 3, 16, 16), (7,), (2304,), (1, 1), (7,), (70, 90), (5,)]
    # The mean is far from the zeros that fill up the shorter ones.
    gradients = [tf.constant(random.normal(3, 1, shape).astype("float32")) for shape in shapes]
    find = zscore_masks
    if mode != "eager":
        find = tf.function(find, jit_compile=mode == "xla", autograph=False)
    for gradient, mask in zip(gradients, find(gradients, 0.9), strict=True):
        np.testing.assert_array_equal(mask, zscore_mask(gradient, 0.9))
        assert mask.shape == gradient.shape


def test_stacks_are_limited(monkeypatch):
    monkeypatch.setattr(masks, "STACKED", 5000)
    sizes = [2000, 9000, 1000, 2000, 2000, 9000, 400, 3, 300, 1, 250]
    groups = masks._groups([tf.zeros((size,)) for size in sizes])
    assert [[sizes[i] for i in group] for group in groups] == [
        [9000],
        [9000],
        [2000, 2000],
        [2000, 1000],
        [400, 300, 250],
        [3, 1],
    ]


def test_only_gradients_of_the_same_dtype_are_stacked():
    gradients = [tf.zeros((9,)), tf.zeros((9,), "float64"), tf.zeros((9,))]
    assert masks._groups(gradients) == [[0], [1], [2]]


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("size", [100, 4000])
def test_a_gradient_that_is_not_finite_keeps_nothing(bad, size):
    gradient = rows("normal", size)[0]
    gradient[5] = bad
    assert not np.asarray(zscore_mask(gradient, 0.95)).any()


@pytest.mark.parametrize("q_p", [0.05, 0.5, 0.75, 0.95, 0.953, 0.99, 1.0])
@pytest.mark.parametrize("size", SIZES)
def test_mask_keeps_the_documented_count(size, q_p):
    gradient = np.random.default_rng(size).exponential(size=size).astype("float32")
    mask = keras.ops.convert_to_numpy(zscore_mask(gradient, q_p))
    assert mask.sum() == size - 1 - int(np.floor((size - 1) * q_p))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rank_of_a_tensor_is_that_of_the_number(dtype):
    """In float32, 0.95 is less than 19/20: it must not miss the rank."""
    for q_p in (0.05, 0.1, 0.35, 0.7, 0.9, 0.95, 0.99, 0.999):
        for size in (2, 21, 101, 1001, 2304, 20_001, 2_359_297, 16_000_001):
            expected = math.floor((size - 1) * q_p)
            assert masks._ranks(np.array([size]), q_p) == [expected]
            found = masks._ranks(np.array([size]), tf.constant(q_p, dtype))
            np.testing.assert_array_equal(found, [expected])


@pytest.mark.parametrize("q_p", [0.5, 0.9, 0.95])
def test_mask_is_the_quantile_of_absolute_z_scores(q_p):
    gradient = np.random.default_rng(0).normal(0.3, 2.0, size=(3, 3, 8, 16)).astype("float32")
    z = np.abs((gradient - gradient.mean(dtype="float64")) / (gradient.std(dtype="float64") + 1e-8))
    np.testing.assert_array_equal(zscore_mask(gradient, q_p), z > np.quantile(z, q_p))


@pytest.mark.parametrize("size", [20, 4000])
@pytest.mark.parametrize("q_p", [0, 0.0, np.float32(0)])
def test_nothing_is_filtered_at_zero(q_p, size):
    q_p = q_p if isinstance(q_p, (int, float)) else tf.constant(q_p)
    for gradient in (rows("ties", size)[0], np.full(size, 0.1, "float32")):
        assert np.asarray(zscore_mask(gradient, q_p)).all()


@pytest.mark.parametrize("gradient", [np.zeros((4, 5)), np.full((4, 5), 0.1), np.ones((1, 1))])
def test_nothing_stands_out_of_a_constant(gradient):
    assert not keras.ops.convert_to_numpy(zscore_mask(gradient.astype("float32"), 0.5)).any()


def test_two_elements_are_tied():
    assert not keras.ops.convert_to_numpy(zscore_mask(np.float32([[1, 5]]), 0.5)).any()


def test_ties_at_the_cut_are_dropped():
    gradient = np.float32([[1, -1, 1, -1, 1, -1, 1, -1, 3, -3]])
    assert keras.ops.convert_to_numpy(zscore_mask(gradient, 0.5)).sum() == 2
    assert keras.ops.convert_to_numpy(zscore_mask(gradient, 0.95)).sum() == 0


@pytest.mark.parametrize("jit_compile", crossed([False, True], default=[False]))
def test_mask_in_a_graph(jit_compile):
    gradient = np.random.default_rng(0).normal(size=(64, 33)).astype("float32")
    traced = tf.function(lambda g: zscore_mask(g, 0.95), jit_compile=jit_compile)
    np.testing.assert_array_equal(traced(tf.constant(gradient)), zscore_mask(gradient, 0.95))

"""Masks by other scores, and with one quantile for all variables."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_zsharp import ZSharp
from keras_zsharp.selection.masks import top_masks
from keras_zsharp.selection.scores import deviations, magnitudes, zscores
from tests.tiers import crossed

# Sorted, searched, and of such sizes that rows are filled up.
SHAPES = [(2, 3), (7, 9), (40, 50), (3, 3, 16, 16), (3, 3, 16, 32), (1, 1)]
RUN = {
    "eager": lambda function: function,
    "graph": tf.function,
    "xla": lambda function: tf.function(function, jit_compile=True),
}


def gradients(shapes=SHAPES):
    random = np.random.default_rng(0)
    return [
        (10.0**i * random.normal(1, 1, shape)).astype("float32") for i, shape in enumerate(shapes)
    ]


def above(scores, q_p):
    """The elements above the order statistic below the quantile, or all."""
    return scores > (np.sort(scores)[int((len(scores) - 1) * q_p)] if q_p else -1)


def exact(name, gradient):
    gradient = gradient.ravel().astype("float64")
    if name == "magnitude":
        return np.abs(gradient)
    return np.abs(gradient - gradient.mean()) / (gradient.std() + 1e-8)


SCORES = {"zscore": zscores, "magnitude": magnitudes}
QUANTILES = (0.0, 0.3, 0.95, 1.0)


@pytest.mark.parametrize(
    ("name", "q_p", "mode"),
    crossed(
        itertools.product(SCORES, QUANTILES, RUN),
        default=[
            *((name, q_p, "eager") for name in SCORES for q_p in QUANTILES),
            ("zscore", 0.95, "graph"),
        ],
    ),
)
def test_one_quantile_for_all(name, q_p, mode):
    given = gradients()
    masks = RUN[mode](lambda *g: top_masks(list(g), q_p, SCORES[name], common=True))(*given)
    expected = above(np.concatenate([exact(name, g) for g in given]), q_p)
    found = np.concatenate([np.ravel(m) for m in masks])
    assert [tuple(m.shape) for m in masks] == SHAPES
    # Scores in float32 may change places at the cut.
    assert (found != expected).sum() <= 2
    size = len(expected)
    assert found.sum() == pytest.approx(size - 1 - int((size - 1) * q_p) if q_p else size, abs=1)


@pytest.mark.parametrize("q_p", QUANTILES)
@pytest.mark.parametrize("name", ["magnitude"])
def test_one_quantile_for_each(name, q_p):
    given = gradients()
    for mask, g in zip(top_masks(given, q_p, SCORES[name]), given, strict=True):
        np.testing.assert_array_equal(np.ravel(mask), above(exact(name, g), q_p))


def test_scores_of_one_variable_choose_alike_whether_divided_or_not():
    [given] = gradients([(40, 50)])
    one, other = (top_masks([given], 0.9, score)[0] for score in (zscores, deviations))
    assert np.sum(one) == np.sum(other) == 2000 - 1 - int(1999 * 0.9)
    np.testing.assert_array_equal(one, other)


def kept(epsilons):
    return [int(np.count_nonzero(e)) for e in epsilons]


@pytest.mark.parametrize("norm", ["global", "per_variable"])
def test_scores_keep_as_many_components(norm):
    given = gradients(SHAPES[1:-1])
    variables = [keras.Variable(np.zeros(g.shape), name="kernel") for g in given]
    rules = [
        ZSharp(rho=0.1, q_p=0.9, norm=norm, score=score)
        for score in ("zscore", "magnitude", "random")
    ]
    epsilons = [rule(given, variables) for rule in rules]
    assert kept(epsilons[0]) == kept(epsilons[1]) == kept(epsilons[2])
    chosen = [np.concatenate([np.ravel(e) != 0 for e in of_rule]) for of_rule in epsilons]
    assert (chosen[0] != chosen[1]).any()
    # Of what is chosen at random, a tenth is chosen otherwise, too.
    assert (chosen[0] & chosen[2]).sum() < 0.2 * chosen[0].sum()


@pytest.mark.parametrize("mode", crossed(RUN, default=["eager", "graph"]))
def test_random_masks_are_drawn_anew_and_can_be_repeated(mode):
    given = gradients([(40, 50)])
    variables = [keras.Variable(np.zeros((40, 50)), name="kernel")]
    runs = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        rule = ZSharp(rho=0.1, q_p=0.9, score="random")
        perturb = RUN[mode](lambda *g, rule=rule: rule(list(g), variables))
        runs.append([np.array(perturb(*given)[0]) for _ in range(2)])
    np.testing.assert_array_equal(runs[0], runs[1])
    first, second = runs[0]
    assert np.count_nonzero(first) == np.count_nonzero(second) == 2000 - 1 - int(1999 * 0.9)
    assert ((first != 0) != (second != 0)).any()

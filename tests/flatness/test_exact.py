"""On quadratics, the measures are what algebra says."""

import sys

import keras
import numpy as np
import pytest
from keras import layers
from scipy import optimize

from keras_zsharp.flatness import (
    MeanLoss,
    ball_loss,
    hessian_spectrum,
    hessian_trace,
    loss_landscape,
)
from tests.flatness.quadratic import DATA, quadratic

FEW, MANY = [3.0, -5.0, 1.0, 4.0], np.random.default_rng(0).permutation(np.arange(-20.0, 30.0))


def largest_in_ball(a, w, rho):
    """The maximum of `(a (w + e)²) / 2` over the ball: e = a w / (m - a) with the m of length rho.

    Where w has a component along the largest a.
    """

    def shift(m):
        return a * w / (m - a)

    m = optimize.brentq(lambda m: np.linalg.norm(shift(m)) - rho, a.max() + 1e-9, a.max() + 1e9)
    return (a * (w + shift(m)) ** 2).sum() / 2


@pytest.mark.parametrize("a", [FEW, MANY], ids=["dense", "lanczos"])
@pytest.mark.parametrize(
    ("which", "order"),
    [("LA", lambda a: -a), ("SA", lambda a: a), ("LM", lambda a: -np.abs(a) - 1e-3 * a)],
)
def test_eigenvalues_are_the_curvatures(a, which, order):
    a = np.array([x for x in a if -x not in a or x > 0])  # of either sign, but not both
    expected = sorted(a, key=order)[:3]
    values, vectors = hessian_spectrum(
        quadratic(a, np.ones(len(a))), DATA, k=3, which=which, eigenvectors=True
    )
    np.testing.assert_allclose(values, expected, rtol=1e-4)
    for value, [vector] in zip(expected, vectors, strict=True):
        np.testing.assert_allclose(np.abs(vector), np.isclose(a, value), atol=1e-2)


def test_there_are_no_more_eigenvalues_than_weights():
    np.testing.assert_allclose(hessian_spectrum(quadratic([2.0, 7.0], [1, 1]), DATA), [7, 2])
    assert hessian_spectrum(quadratic([2.0], [1.0]), DATA, k=1) == pytest.approx([2])


def test_eigenvalues_that_do_not_converge_are_not_returned():
    model = quadratic(1 + 1e-4 * np.arange(300), np.ones(300))
    with pytest.raises(RuntimeError, match=r"eigenvalues converged: .*restarts=1"):
        hessian_spectrum(model, DATA, k=2, tol=1e-9, restarts=1)


def test_missing_scipy_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-zsharp\[flatness\]'"):
        hessian_spectrum(quadratic(MANY, MANY), DATA)


def test_trace_of_a_diagonal_hessian_is_exact():
    trace = hessian_trace(quadratic(MANY, np.ones(len(MANY))), DATA, samples=2)
    assert trace.mean == pytest.approx(MANY.sum(), rel=1e-5)
    assert trace.standard_error == pytest.approx(0, abs=1e-4)
    assert np.isnan(hessian_trace(quadratic(FEW, FEW), DATA, samples=1).standard_error)


def test_trace_and_spectrum_of_a_regression():
    """H = 2 XᵀX / n, and the variance of a sample is twice its squares off the diagonal."""
    x = np.random.default_rng(1).normal(size=(40, 24)).astype("float32")
    hessian = 2 * x.T @ x / len(x)
    model = keras.Sequential([keras.Input((24,)), layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse")
    data = x, np.ones((40, 1), "float32")
    trace = hessian_trace(model, data, samples=100, batch_size=40)
    deviation = np.sqrt(2 * ((hessian**2).sum() - (np.diag(hessian) ** 2).sum()))
    assert trace.standard_error == pytest.approx(deviation / 10, rel=0.3)
    assert abs(trace.mean - np.trace(hessian)) < 4 * trace.standard_error
    values = hessian_spectrum(model, data, k=4, batch_size=16)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(hessian)[:-5:-1], rtol=1e-3)


def test_ball_along_the_top_direction():
    found = ball_loss(quadratic([2.0, 8.0], [0.0, 3.0]), DATA, rho=0.5)
    assert found.loss == 36
    assert found.ball_loss == pytest.approx(8 * 3.5**2 / 2)
    assert found.sharpness == found.ball_loss - found.loss
    assert found.random is None


@pytest.mark.parametrize("a", [[1.0, 4.0, 5.0], [-3.0, 2.0, 6.0]], ids=["convex", "saddle"])
@pytest.mark.parametrize("rho", [0.1, 2.0])
def test_ball_loss_is_the_exact_maximum(a, rho):
    a, w = np.array(a), np.array([3.0, 1.0, 0.1])
    exact = largest_in_ball(a, w, rho)
    model = quadratic(a, w)
    mean = MeanLoss(model, DATA)
    found = [ball_loss(model, mean, rho, steps).ball_loss for steps in (1, 3, 60)]
    g = a * w
    sam = (a * (w + rho * g / np.linalg.norm(g)) ** 2).sum() / 2
    assert found[0] == pytest.approx(sam, rel=1e-5)
    assert found[0] < found[1] < found[2] + 1e-5
    assert found[2] == pytest.approx(exact, rel=1e-4)


def test_random_directions_find_what_has_no_gradient():
    """At the bottom the ascent has nowhere to go; a direction gains (a ρ²) / 2 at most."""
    model = quadratic([2.0, 6.0], [0.0, 0.0])
    mean = MeanLoss(model, DATA)
    assert ball_loss(model, mean, rho=0.5).sharpness == 0
    found = ball_loss(model, mean, rho=0.5, random=20, seed=1)
    # Of 20 directions in the plane, one comes near.
    assert 0.7 < found.sharpness == found.random < 0.75
    assert found == ball_loss(model, mean, rho=0.5, random=20, seed=1)
    assert found.random != ball_loss(model, mean, rho=0.5, random=20, seed=2).random


def test_ball_loss_grows_with_the_radius_and_never_falls_below_the_loss():
    model = quadratic([-3.0, -2.0], [0.0, 0.0])  # at the top
    assert ball_loss(model, DATA, rho=1.0, random=5).ball_loss == 0
    model = quadratic(FEW, np.ones(4))
    mean = MeanLoss(model, DATA)
    found = [ball_loss(model, mean, rho=rho).sharpness for rho in (0, 0.1, 1, 10)]
    assert found[0] == 0
    assert all(np.diff(found) > 0)


def test_landscape_along_given_directions():
    a, w = np.array([3.0, 5.0]), np.array([1.0, -2.0])
    first, second = [np.array([1.0, 2.0])], [np.array([0.0, 3.0])]
    plane = loss_landscape(quadratic(a, w), DATA, 0.5, 3, directions=(first, second))
    np.testing.assert_array_equal(plane.alphas, [-0.5, 0, 0.5])
    for i, alpha in enumerate(plane.alphas):
        for j, beta in enumerate(plane.betas):
            loss = (a * (w + alpha * first[0] + beta * second[0]) ** 2).sum() / 2
            assert plane.losses[i, j] == pytest.approx(loss, rel=1e-6)

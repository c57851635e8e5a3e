"""The density of the eigenvalues is that of all eigenvalues that NumPy finds in float64."""

import sys

import numpy as np
import pytest

from keras_zsharp.flatness import MeanLoss, hessian_trace, spectral_density
from tests.flatness import numpy_network
from tests.flatness.numpy_network import DATA
from tests.flatness.quadratic import DATA as NOTHING
from tests.flatness.quadratic import quadratic

CURVATURES = np.random.default_rng(0).permutation(np.arange(-6.0, 14.0))
SIZE = 26


@pytest.fixture(scope="module")
def small():
    """A model and its mean loss, which is traced once."""
    model = numpy_network.network()
    return model, MeanLoss(model, DATA)


def normal(t, values, sigma):
    """Normal densities around some values at each t."""
    distances = (np.subtract.outer(t, values) / sigma) ** 2
    return np.exp(-distances / 2) / (sigma * np.sqrt(2 * np.pi))


def signs(samples, size, seed=0):
    rng = np.random.default_rng(seed)
    return np.array([rng.choice([-1.0, 1.0], size=size) for _ in range(samples)])


def integral(found, of):
    return of.sum() * (found.grid[1] - found.grid[0])


def test_density_of_a_diagonal_hessian_is_exact():
    """All signs see each eigenvalue alike."""
    model = quadratic(CURVATURES, np.ones(20))
    found = spectral_density(model, NOTHING, samples=1, lanczos_steps=20, sigma=0.3)
    np.testing.assert_allclose(found.nodes, [np.sort(CURVATURES)], atol=1e-3)
    np.testing.assert_allclose(found.weights, np.full((1, 20), 1 / 20), atol=1e-4)
    exact = normal(found.grid, CURVATURES, 0.3).mean(1)
    np.testing.assert_allclose(found.density, exact, atol=1e-3 * exact.max())


def test_with_all_steps_a_vector_is_seen_exactly(small):
    """Each eigenvalue weighs the square of the vector's part along its eigenvector."""
    found = spectral_density(*small, samples=3, lanczos_steps=100, sigma=0.05)
    assert found.nodes.shape == found.weights.shape == (3, SIZE)
    values, vectors = np.linalg.eigh(numpy_network.hessian())
    weights = (signs(3, SIZE) @ vectors) ** 2 / SIZE
    exact = (normal(found.grid, values, 0.05) * weights.mean(0)).sum(1)
    np.testing.assert_allclose(found.density, exact, atol=1e-3 * exact.max())


def test_mean_over_vectors_is_the_density(small, monkeypatch):
    """Of many vectors, whose products NumPy computes."""
    whole = numpy_network.hessian()
    monkeypatch.setattr(small[1], "product", lambda vector: whole @ vector)
    found = spectral_density(*small, samples=400, lanczos_steps=12, sigma=0.2)
    exact = normal(found.grid, np.linalg.eigvalsh(whole), 0.2).mean(1)
    assert integral(found, np.abs(found.density - exact)) < 0.05
    assert integral(found, exact) == pytest.approx(1, abs=0.01)


def test_few_steps_know_the_first_moments(small):
    """Those of degree below twice their number, the first of which is the trace."""
    found = spectral_density(*small, samples=4, lanczos_steps=3, seed=2)
    assert found.nodes.shape == (4, 3)
    values, vectors = np.linalg.eigh(numpy_network.hessian())
    weights = (signs(4, SIZE, seed=2) @ vectors) ** 2 / SIZE
    for degree in range(6):
        moments = (found.weights * found.nodes**degree).sum(1)
        np.testing.assert_allclose(moments, weights @ values**degree, rtol=1e-3)
    trace = hessian_trace(*small, samples=4, seed=2).mean
    assert found.size * (found.weights * found.nodes).sum() / 4 == pytest.approx(trace, rel=1e-4)


@pytest.mark.parametrize(("value", "sigma"), [(2.0, 0.02), (-2.0, 0.02), (0.0, 1.0)])
def test_eigenvalues_that_are_all_the_same(value, sigma):
    found = spectral_density(quadratic([value] * 5, np.ones(5)), NOTHING, samples=2)
    np.testing.assert_allclose(found.nodes, np.full((2, 5), value), atol=1e-5)
    np.testing.assert_allclose(found.weights.sum(1), 1)
    assert found.sigma == pytest.approx(sigma)
    np.testing.assert_allclose(found.density, normal(found.grid, [value], sigma)[:, 0], atol=1e-3)


def test_grid_spans_the_nodes_with_a_hundredth_of_their_range(small):
    found = spectral_density(*small, samples=2, lanczos_steps=10, points=301)
    assert found.grid.shape == found.density.shape == (301,)
    low, high = found.nodes.min(), found.nodes.max()
    assert found.sigma == pytest.approx(0.01 * (high - min(low, 0)))
    np.testing.assert_allclose(found.grid[[0, -1]], [low - 4 * found.sigma, high + 4 * found.sigma])
    assert integral(found, found.density) == pytest.approx(1, abs=1e-3)


def test_density_of_each_layer(small):
    found = spectral_density(*small, samples=2, lanczos_steps=30, by="layer", sigma=0.05)
    blocks = numpy_network.blocks()
    assert list(found) == list(blocks)
    for path, block in blocks.items():
        values, vectors = np.linalg.eigh(block)
        weights = (signs(2, len(values)) @ vectors) ** 2 / len(values)
        exact = (normal(found[path].grid, values, 0.05) * weights.mean(0)).sum(1)
        np.testing.assert_allclose(found[path].density, exact, atol=2e-3 * exact.max())
        assert found[path].size == len(values)


def test_seeds_and_progress(small, capsys):
    first, again = (spectral_density(*small, samples=1, lanczos_steps=3) for _ in range(2))
    np.testing.assert_array_equal(first.density, again.density)
    assert not capsys.readouterr().out
    other = spectral_density(*small, samples=1, lanczos_steps=3, seed=1, verbose=1)
    assert capsys.readouterr().out.strip()
    assert not np.allclose(first.weights, other.weights)


def test_picture(small, tmp_path):
    found = spectral_density(*small, samples=1, lanczos_steps=5)
    axes = found.plot(tmp_path / "density.png")
    assert (tmp_path / "density.png").stat().st_size > 5000
    assert axes.get_yscale() == "log"
    [line] = axes.lines
    np.testing.assert_array_equal(line.get_xdata(), found.grid)
    single = normal(0.0, 0.0, found.sigma) / found.size
    assert axes.get_ylim()[0] == pytest.approx(single / 10)
    assert found.plot(axes=axes) is axes
    assert len(axes.lines) == 2


def test_missing_matplotlib_is_asked_for(small, monkeypatch):
    found = spectral_density(*small, samples=1, lanczos_steps=2)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-zsharp\[flatness\]'"):
        found.plot()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": 0}, "`samples` must be an int >= 1. Received: samples=0"),
        ({"lanczos_steps": 0}, "`lanczos_steps` must be an int >= 1. Received: lanczos_steps=0"),
        ({"sigma": 0}, r"`sigma` must be > 0 or None. Received: sigma=0.0"),
        ({"points": 1}, "`points` must be an int >= 2. Received: points=1"),
        ({"by": "layr"}, r"`by` must be 'layer' or None. .* Did you mean 'layer'\?"),
    ],
)
def test_mistakes(small, arguments, message):
    with pytest.raises(ValueError, match="^" + message):
        spectral_density(*small, **arguments)

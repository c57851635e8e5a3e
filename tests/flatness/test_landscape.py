"""The plane is that of Li et al., and its picture shows it."""

import sys

import keras
import numpy as np
import pytest
from keras import layers
from matplotlib import colors, figure

from keras_zsharp.flatness import Landscape, MeanLoss, loss_landscape
from keras_zsharp.flatness.directions import plane
from tests.training.cases import CASES

VALUES = np.linspace(-1, 1, 5)


def test_filters_of_a_direction_are_as_long_as_the_weights():
    case = CASES["sequential"]
    model = case.build()
    model.compile("sgd", case.loss)
    mean = MeanLoss(model, (case.x, case.y))
    first, second = (mean.shaped(d) for d in plane(mean, None, seed=0))
    for weight, *parts in zip(model.trainable_weights, first, second, strict=True):
        weight = weight.numpy()
        for part in parts:
            if weight.ndim < 2:
                assert not part.any()
                continue
            lengths = [np.linalg.norm(x.reshape(-1, x.shape[-1]), axis=0) for x in (part, weight)]
            np.testing.assert_allclose(*lengths, rtol=1e-5)
    assert not np.allclose(first[0], second[0])


def test_losses_do_not_depend_on_the_scale_of_weights_before_a_normalization():
    """What the filters' lengths are for; rectified units pass a scale on, the next layer undoes it.

    The directions of one seed are the same but for those lengths.
    """
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(8, activation="relu", use_bias=False),
            layers.Dense(1, use_bias=False),
        ]
    )
    model.compile("sgd", "mse")
    data = CASES["regularized"].x, CASES["regularized"].y
    losses = []
    for scale in (1.0, 100.0):
        hidden, head = model.get_weights()
        model.set_weights([hidden * np.float32(scale), head / np.float32(scale)])
        losses.append(loss_landscape(model, data, points=3, seed=3).losses)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert losses[0][1, 1] == pytest.approx(model.evaluate(*data, verbose=0), rel=1e-5)
    assert losses[0].std() > 0.01
    assert not np.allclose(losses[0], loss_landscape(model, data, points=3, seed=4).losses)


@pytest.mark.parametrize(
    ("losses", "norm"),
    [
        (3 + np.add.outer(VALUES**2, VALUES), colors.Normalize),
        (np.exp(8 * np.add.outer(VALUES, VALUES)), colors.LogNorm),
        (np.ones((5, 5)), colors.Normalize),
    ],
    ids=["linear", "logarithmic", "constant"],
)
def test_picture(losses, norm, tmp_path):
    losses[0, 0] = np.inf
    path = tmp_path / "landscape.png"
    axes = Landscape(VALUES, VALUES, losses).plot(path)
    assert path.stat().st_size > 10_000
    filled = axes.collections[0]
    assert type(filled.norm) is norm
    finite = losses[np.isfinite(losses)]
    low, high = filled.get_clim()
    assert low <= finite.min() <= finite.max() <= high


def test_picture_in_a_subfigure(tmp_path):
    path = tmp_path / "landscape.png"
    left, _ = figure.Figure().subfigures(1, 2)
    Landscape(VALUES, VALUES, np.ones((5, 5))).plot(path, left.subplots())
    assert path.stat().st_size > 1000


def test_first_direction_runs_to_the_right():
    losses = np.repeat(VALUES[:, None], 5, axis=1)
    axes = Landscape(VALUES, VALUES, losses).plot()
    # A line of equal loss runs upwards: alpha stays.
    lines = [line for line in axes.collections[1].get_paths() if len(line.vertices)]
    assert lines
    for line in lines:
        assert np.ptp(line.vertices[:, 0]) == pytest.approx(0)


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="`losses` must hold at least one finite loss"):
        Landscape(VALUES, VALUES, np.full((5, 5), np.nan)).plot()


def test_missing_matplotlib_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-zsharp\[flatness\]'"):
        Landscape(VALUES, VALUES, np.ones((5, 5))).plot()

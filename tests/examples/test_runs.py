"""What a run is made of."""

import dataclasses

import keras
import numpy as np
import pytest

from experiments import building, grid, optimizers, recipes
from keras_zsharp import analysis, data, models
from tests.tiers import crossed


def settings(**changes):
    run = {"dataset": "digits", "model": "small_cnn", "rule": None, "settings": {}, "seed": 0}
    return {**run, **vars(recipes.DIGITS_SGD), **changes}


def test_weight_decay_is_part_of_the_gradient_of_adam():
    """Whose first step is the sign of the gradient, whatever its size."""
    w = keras.Variable([1.0, 1.0])
    optimizer = optimizers.build(settings(optimizer="adam", weight_decay=0.5, schedule="cosine"), 5)
    optimizer.build([w])
    optimizer.apply([np.array([-0.4, -0.6], "float32")])
    np.testing.assert_allclose(w, [1 - 0.05, 1 + 0.05], rtol=1e-5)


def test_weight_decay_is_part_of_the_gradient():
    optimizer = optimizers.CoupledSGD(0.1, decay=0.1, momentum=0.9)
    w = keras.Variable([1.0])
    optimizer.build([w])
    optimizer.apply([np.array([0.5], "float32")])
    np.testing.assert_allclose(w, [1 - 0.1 * (0.5 + 0.1)], rtol=1e-6)
    optimizer.apply([np.array([0.5], "float32")])
    np.testing.assert_allclose(w, [0.94 - 0.9 * 0.06 - 0.1 * (0.5 + 0.094)], rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "methods"),
    [(["A"], ["S 1", "S/1"]), (["A", "a"], ["SAM"]), (["A-B", "A"], ["SAM", "B SAM"])],
)
def test_labels_that_make_one_folder_are_refused(settings, methods):
    with pytest.raises(ValueError, match=r"make different names of folders.* make 'a-.*-seed0' tw"):
        grid.Grid(
            "Two runs in a folder",
            recipes.DIGITS,
            tuple(grid.Setting(label, "digits", "small_cnn") for label in settings),
            tuple(grid.Method(label) for label in methods),
            methods[0],
        )


def test_schedules():
    for schedule, rates in (("cosine", (0.05, 0.025, 0.0)), ("steps", (0.05, 0.0375, 0.028125))):
        optimizer = optimizers.build(settings(schedule=schedule, epochs=20), 5)
        got = [float(optimizer._learning_rate(step)) for step in (0, 50, 100)]
        np.testing.assert_allclose(got, rates, atol=1e-8)
    schedule = optimizers.WarmupSteps(0.1, 60, 0.75, staircase=True, warmup=10)
    for step, rate in ((0, 0), (5, 0.05), (10, 0.1), (59, 0.1), (60, 0.075), (120, 0.05625)):
        assert float(schedule(step)) == pytest.approx(rate)
    with pytest.raises(ValueError, match="`schedule` must be"):
        optimizers.build(settings(schedule="linear"), 5)
    with pytest.raises(ValueError, match="`optimizer` must be"):
        optimizers.build(settings(optimizer="adamax"), 5)


@pytest.mark.parametrize("augment", [None, "mixup"])
def test_validation_labels_are_as_noisy_as_the_others(augment):
    config = settings(augment=augment)
    noisy, clean = building.dataset(config), building.dataset({**config, "label_noise": 0.0})
    moved, images = 0, 0
    for (x, y), (clean_x, clean_y) in zip(noisy.validation, clean.validation, strict=True):
        np.testing.assert_array_equal(x, clean_x)
        assert y.dtype == clean_y.dtype
        different = np.asarray(y != clean_y).reshape(len(x), -1).any(-1)
        moved, images = moved + different.sum(), images + len(x)
    assert (moved, images) == (96, 240)
    for (_, y), (_, clean_y) in zip(noisy.test, clean.test, strict=True):
        np.testing.assert_array_equal(y, clean_y)


def test_seeds_have_the_same_test_part():
    def labels(part):
        return np.concatenate([y for _, y in part.as_numpy_iterator()])

    first, second = (building.dataset(settings(seed=seed)) for seed in (0, 1))
    np.testing.assert_array_equal(labels(first.test), labels(second.test))
    assert (labels(first.validation) != labels(second.validation)).any()
    other = data.digits(seed=1)
    assert (labels(first.test) != labels(other.test)).any()
    with pytest.raises(ValueError, match="`split_seed` is of the digits alone"):
        building.dataset(settings(dataset="cifar10"))


@pytest.mark.parametrize("component", crossed(["full", "noise", "batch"], default=[], tier="slow"))
def test_rules_perturb_along_what_the_method_says(component):
    run = grid.Run(
        grid.Setting("Digits", "digits", "small_cnn"),
        grid.Method("SAM", "SAM", {"rho": 0.2}, ascent=component),
        {},
        0,
        dataclasses.replace(recipes.DIGITS_SGD, batch_size=480),
    )
    bundle = building.dataset(run.config)
    _, model = building.network(run.config, bundle)
    assert isinstance(model, analysis.AscentFrom)
    assert model.component == component
    history = model.fit(bundle.train, callbacks=[bundle.epoch_order], verbose=0).history
    assert np.isfinite(history["sharpness"]).all()


class Task(keras.Model):
    """As KerasHub's, a functional model with a `fit` of its own."""

    fits = 0

    def fit(self, *args, **kwargs):
        Task.fits += 1
        return super().fit(*args, **kwargs)


@pytest.mark.parametrize("rule", [None, "SAM"])
def test_a_model_with_methods_of_its_own_keeps_them(rule, monkeypatch):
    def task(shape, classes):
        inputs = keras.Input(shape)
        return Task(inputs, keras.layers.Dense(classes)(keras.layers.Flatten()(inputs)))

    monkeypatch.setattr(models, "small_cnn", task)
    monkeypatch.setattr(Task, "fits", 0)
    config = settings(rule=rule, batch_size=480)
    bundle = building.dataset(config)
    network, model = building.network(config, bundle)
    before = network.get_weights()
    logs = model.fit(bundle.train, verbose=0).history
    assert Task.fits == 1
    assert isinstance(model, Task)
    assert ("sharpness" in logs) == (rule is not None)
    assert type(network) is not type(model)
    assert (network.get_weights()[0] != before[0]).any()


@pytest.mark.slow
def test_the_other_batches_are_the_same_images_in_another_order():
    config = settings(ascent="batch")
    bundle = building.dataset(config)

    def images(batches):
        return [np.append(x, y) for b in batches for x, y in zip(*b, strict=True)]

    straight, other = (
        images(bundle.train),
        images(building.ascent_data(bundle, config)),
    )
    assert (np.array(straight[:64]) != np.array(other[:64])).any(1).sum() > 50
    np.testing.assert_array_equal(np.sort(straight, 0), np.sort(other, 0))

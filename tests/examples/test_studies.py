"""Every study's settings can be run: their methods are what they name, and each kind trains."""

import dataclasses
import functools
import sys

import keras
import numpy as np
import pytest
import tensorflow_datasets as tfds

from examples.study import (
    after_training,
    arguments,
    cifar10_human,
    digits,
    etth_forecasting,
    fashion_mnist,
    friendly_sam_tables,
    optimizers,
    recipes,
    wall_clock,
    zsharp_tables,
)
from keras_zsharp import data, models
from keras_zsharp.comparing import Comparison, Method
from keras_zsharp.comparing.plan import Plan

RUNS = {
    "digits_controls": 145,
    "digits_zsharp_table1": 145,
    "digits_zsharp_table2": 95,
    "digits_fsam_tables_1_2": 145,
    "digits_fsam_radius": 55,
    "fashion_mnist_resnet": 1470,
    "fashion_mnist_vit": 1470,
    "zsharp_table1": 225,
    "zsharp_table2": 42,
    "zsharp_table1_code": 75,
    "fsam_tables_1_2": 120,
    "fsam_table_6": 36,
    "fsam_figure_2": 30,
    "fsam_radius": 66,
    "fsam_batch_sizes": 54,
}
STUDIES = (digits, fashion_mnist, friendly_sam_tables, zsharp_tables)
SETTINGS = {name: setting for study in STUDIES for name, setting in study.SETTINGS.items()}


def of(report):
    return {name: each for name, each in SETTINGS.items() if name.startswith(f"{report}/")}


@pytest.mark.project
@pytest.mark.parametrize("report", RUNS)
def test_a_study_has_the_runs_of_its_paper(report):
    sizes = []
    for recipe, methods, options in of(report).values():
        choose_by = options.get("choose_by")
        plan = Plan(recipe, methods, options["seeds"], "test_accuracy", choose_by, None)
        assert options.get("reference", plan.labels[0]) in plan.labels
        sizes.append(plan.size(first=False))
    assert sum(sizes) == RUNS[report]


TINY = {
    "digits_controls/digits-40-wrong-labels": "random, global",
    "fashion_mnist_resnet/adamw-20-wrong-labels": "SAM, late",
    "fashion_mnist_vit/sgd-clean-labels": "SAM, normalization only",
    "zsharp_table1/cifar10-resnet56": "ZSharp",
    "zsharp_table1_code/svhn-resnet56": "ASAM",
    "fsam_tables_1_2/cifar100-resnet18": "FisherSAM",
    "fsam_figure_2/cifar10": "SAM-noise",
}
"""A run of each kind of recipe."""


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_a_run_of_a_study(name, tmp_path, monkeypatch):
    recipe, methods, options = SETTINGS[name]
    method = methods[TINY[name]]
    only = Method(method.rule, **{**method.config, **method.options, **method.choices[-1]})
    fewer = {"train_size": 40} if "train_size" in recipe.bundle.keywords else {}
    bundle = functools.partial(recipe.bundle, **fewer)
    recipe = dataclasses.replace(recipe, bundle=bundle, network=models.small_cnn, epochs=1)
    options = {**options, "seeds": [0], "reference": "it"}
    setting = recipe, {"it": only}, options
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["study", "results", "--only", name])
    with tfds.testing.mock_data(num_examples=40):
        recipes.main(arguments.of_study("A study."), {name: setting, "another": setting})
    assert not (tmp_path / "results" / "another").exists()
    found = Comparison.load(tmp_path / "results" / name).runs
    assert found["failed"].tolist() == [""]
    assert 0 <= found["test_accuracy"][0] <= 1


def ran(study, monkeypatch, folder, *arguments):
    """Does a study with two methods in one setting, and returns its comparison."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["study", *arguments])
    study.main()
    [path] = folder.glob("results/**/comparison.json")
    return Comparison.load(path.parent)


@pytest.mark.slow
def test_the_wall_clocks(tmp_path, monkeypatch):
    short = {**wall_clock.SETTINGS["digits"], "epochs": 1, "seeds": [0]}
    methods = wall_clock.methods(short)
    methods = {name: methods[name] for name in ("AdamW", "AdamW, weight averaging")}
    monkeypatch.setitem(wall_clock.SETTINGS, "digits", short)
    monkeypatch.setattr(wall_clock, "methods", lambda setting: methods)
    assert ran(wall_clock, monkeypatch, tmp_path, "digits", "results").labels == list(methods)


@pytest.mark.slow
def test_forecasts(tmp_path, monkeypatch):
    for name, size in {"TRAIN": 600, "VALIDATE": 150, "TEST": 150, "LOOK_BACK": 48}.items():
        monkeypatch.setattr(etth_forecasting.forecasting, name, size)
    rows = [f"2020,{np.sin(hour / 4)},{np.cos(hour / 4)}" for hour in range(1000)]
    (tmp_path / "ETTh1.csv").write_text("\n".join(["date,a,b", *rows]))
    methods = {name: etth_forecasting.ALL[name] for name in ("Adam", "SAM, a quarter")}
    monkeypatch.setattr(etth_forecasting, "ALL", methods)
    fit = etth_forecasting.Fit

    def short(*parts, **how):
        return fit(*parts, **{**how, "epochs": 1})

    monkeypatch.setattr(etth_forecasting, "Fit", short)
    arguments = str(tmp_path), "results", "--only", "ETTh1-96", "--seeds", "1"
    assert ran(etth_forecasting, monkeypatch, tmp_path, *arguments).labels == list(methods)


@pytest.fixture
def of_digits(monkeypatch):
    """The study of CIFAR-10 trains on the digits, for two epochs."""

    def digits_for_it(batch_size, seed, **options):
        return data.digits(batch_size, seed=seed, validation=0.1)

    monkeypatch.setattr(cifar10_human.data, "cifar10", digits_for_it)
    monkeypatch.setattr(cifar10_human, "EPOCHS", 2)


@pytest.mark.slow
def test_human_labels(tmp_path, monkeypatch, of_digits):
    methods = {"SGD, weight averaging": Method(averaged=True), "ZSharp": "zsharp"}
    monkeypatch.setattr(cifar10_human, "methods", lambda epochs: methods)
    arguments = "data", "results", "--only", "papers-clean", "--seeds", "1"
    assert ran(cifar10_human, monkeypatch, tmp_path, *arguments).labels == list(methods)


@pytest.mark.slow
def test_after_training(tmp_path, monkeypatch, of_digits):
    monkeypatch.setattr(after_training, "EXAMPLES", 100)
    words = "data", "results", "--only", "cifar10", "--seeds", "1"
    its = ran(after_training, monkeypatch, tmp_path, *words)
    assert its.labels == list(after_training.CIFAR10)
    names = ["nll", "calibration_error", "lost_in_int8", "noise_1.0", "blur_1.0", "eigenvalue"]
    assert np.isfinite(its.runs[names].to_numpy()).all()
    assert (its.runs["ball_sharpness"] > 0).all()


def test_weight_decay_is_part_of_the_gradient():
    w = keras.Variable([1.0])
    optimizer = optimizers.CoupledSGD(0.1, decay=0.1, momentum=0.9)
    optimizer.build([w])
    for weight in (1 - 0.1 * (0.5 + 0.1), 0.94 - 0.9 * 0.06 - 0.1 * (0.5 + 0.094)):
        optimizer.apply([np.array([0.5], "float32")])
        np.testing.assert_allclose(w, [weight], rtol=1e-6)


def test_schedules():
    for build, epoch_rates in (
        (optimizers.sgd, {0: 0.05, 10: 0.025, 20: 0.0}),
        (optimizers.adamw_in_steps, {0: 1e-3, 10: 0.75e-3, 20: 0.5625e-3}),
        (optimizers.adam_with_warmup, {0: 0, 2.6: 0.52e-3, 5: 1e-3, 29.8: 1e-3, 30: 0.75e-3}),
    ):
        rate = build(5, 20)._learning_rate
        for epoch, expected in epoch_rates.items():
            assert float(rate(round(5 * epoch))) == pytest.approx(expected, abs=1e-8)


def test_held_out_labels_are_as_wrong_as_the_others():
    bundle = functools.partial(data.digits, label_noise=0.4, split_seed=0, validation=0.2)(seed=3)
    images, labels = recipes.noisy(bundle, 0.4, 3)
    clean_images, clean = bundle.arrays["validation"]
    np.testing.assert_array_equal(images, clean_images)
    assert ((labels != clean).sum(), len(labels)) == (96, 240)


@pytest.mark.slow
def test_the_ascents_batches_are_the_same_images_in_another_order():
    bundle = data.digits(seed=0)
    straight, other = (
        np.concatenate([x for x, _ in batches]).reshape(1200, -1)
        for batches in (bundle.train, recipes.ascent_data(bundle, "batch", 0))
    )
    assert (straight[:64] != other[:64]).any(1).sum() > 50
    np.testing.assert_array_equal(np.sort(straight, 0), np.sort(other, 0))


@pytest.mark.parametrize("name", ["fashion_mnist_resnet", "fashion_mnist_vit"])
def test_sam_of_zsharps_length_is_as_long_as_zsharp_of_the_papers_radius(name):
    """Which gives each filtered variable the radius, and the others next to nothing."""
    recipe, methods, _ = of(name)[f"{name}/sgd-clean-labels"]
    weights = recipe.network().trainable_variables
    rng = np.random.default_rng(0)
    gradients = [keras.ops.array(rng.normal(size=v.shape), "float32") for v in weights]
    zsharp, sam = (
        np.sqrt(sum(float(keras.ops.sum(e**2)) for e in rule(gradients, weights)))
        for rule in (
            methods[label].rule_with({})
            for label in ("ZSharp of the paper's radius", "SAM of ZSharp's length")
        )
    )
    assert sam < zsharp < 1.05 * sam

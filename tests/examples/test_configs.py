"""Every config declares the grid that its docstring and its paper speak of."""

import ast
import collections
import re

import keras
import numpy as np
import pytest

from experiments import building, plan
from keras_zsharp import models

pytestmark = pytest.mark.project
RUNS = {
    "digits_controls": 145,
    "digits_fsam_radius": 55,
    "digits_fsam_tables_1_2": 145,
    "digits_zsharp_table1": 145,
    "digits_zsharp_table2": 95,
    "digits_wall_clock": 160,
    "fashion_mnist_resnet": 1470,
    "fashion_mnist_vit": 1470,
    "fashion_wall_clock": 104,
    "fsam_batch_sizes": 54,
    "fsam_figure_2": 30,
    "fsam_radius": 66,
    "fsam_table_6": 36,
    "fsam_tables_1_2": 120,
    "zsharp_table1": 225,
    "zsharp_table1_code": 75,
    "zsharp_table2": 42,
}


@pytest.mark.parametrize("name", RUNS)
def test_config(name, tmp_path):
    grid = plan.read(name)
    assert len(grid.runs) == RUNS[name]
    assert len({run.name for run in grid.runs}) == RUNS[name]
    docstring = ast.get_docstring(ast.parse((plan.CONFIGS / f"{name}.py").read_text()))
    assert f"python examples/reproduce.py {name}\n" in docstring
    assert f"\n{RUNS[name]} runs of {grid.recipe.epochs} epochs" in docstring
    assert re.search(r"Result: ", docstring)
    assert not plan.Plan(grid, tmp_path).refused()


def test_all_configs_are_tested():
    assert {path.stem for path in plan.CONFIGS.glob("*.py")} == set(RUNS)


def test_digits_are_split_alike_and_radii_chosen_on_noisy_labels():
    for name in RUNS:
        if name.startswith("digits"):
            for run in plan.read(name).runs:
                assert run.setting.dataset == "digits"
                assert run.recipe.split_seed == 0
                assert run.recipe.label_noise >= 0.2


def sums(grid, of):
    """Sums of the paper's means, by what `of` says of (setting, method)."""
    totals = collections.Counter()
    for key, (mean, _) in grid.paper.items():
        totals[of(*key)] += mean
    return {name: round(total, 2) for name, total in totals.items()}


def test_zsharp_table1():
    """Sums over the five networks, added up apart from the config."""
    grid = plan.read("zsharp_table1")
    assert len(grid.paper) == 75
    expected = {
        "AdamW": (443.31, 311.63, 209.66),
        "SAM": (446.48, 316.82, 214.41),
        "ASAM": (445.41, 318.27, 213.69),
        "Friendly-SAM": (446.63, 316.73, 215.53),
        "ZSharp": (450.13, 322.55, 221.14),
    }
    got = sums(grid, lambda setting, method: (method, setting.split(",")[0]))
    for method, totals in expected.items():
        for data, total in zip(("CIFAR-10", "CIFAR-100", "Tiny-ImageNet"), totals, strict=True):
            assert got[method, data] == total
    assert {run.rule_settings.get("rho") for run in grid.runs} == {None, 0.05}
    assert sum(std for _, std in grid.paper.values()) == pytest.approx(28.61)


def test_zsharp_table2_shares_its_figures_with_table1():
    first, second = plan.read("zsharp_table1").paper, plan.read("zsharp_table2").paper
    for network in ("ResNet-56", "ViT-7/8/8-384"):
        for method in ("AdamW", "SAM", "ZSharp"):
            label = "ZSharp, q_p=0.95" if method == "ZSharp" else method
            assert second[network, label] == first[f"CIFAR-10, {network}", method]


def test_friendly_sam_tables():
    grid = plan.read("fsam_tables_1_2")
    totals = sums(grid, lambda setting, method: (setting.split(",")[0], method))
    order = ("SGD", "ASAM", "FisherSAM", "SAM", "F-SAM")
    ten = (385.92, 387.66, 387.37, 387.02, 387.74)
    hundred = (319.69, 329.41, 329.33, 328.94, 330.23)
    for data, expected in (("CIFAR-10", ten), ("CIFAR-100", hundred)):
        assert tuple(totals[data, method] for method in order) == expected
    [run] = (
        run
        for run in grid.runs
        if (run.setting.label, run.method.label, run.seed)
        == ("CIFAR-100, PyramidNet-110", "F-SAM", 0)
    )
    assert run.rule_settings == {"sigma": 1.0, "rho": 0.2, "lmbda": 0.9}
    assert (run.recipe.epochs, run.recipe.weight_decay) == (300, 1e-3)
    decays = {r.recipe.weight_decay for r in grid.runs if r.method.label == "SGD"}
    assert decays == {5e-4}


def test_friendly_sam_label_noise():
    paper = plan.read("fsam_table_6").paper
    # The text speaks of a gain of 28 % at the highest rate.
    gain = paper["80% wrong labels", "F-SAM"][0] - paper["80% wrong labels", "SAM"][0]
    assert round(gain) == 28
    assert sums(plan.read("fsam_table_6"), lambda _, method: method) == {
        "SGD": 206.43,
        "SAM": 301.97,
        "F-SAM": 331.76,
    }


@pytest.mark.parametrize("name", ["fashion_mnist_resnet", "fashion_mnist_vit"])
def test_sam_of_zsharps_length_is_as_long_as_zsharp_of_the_papers_radius(name):
    """Which gives each filtered variable the radius, and the others next to nothing."""
    grid = plan.read(name)
    lengths = []
    for label in ("ZSharp of the paper's radius", "SAM of ZSharp's length"):
        run = next(run for run in grid.runs if run.method.label == label)
        network = getattr(models, run.setting.network)()
        weights = network.trainable_variables
        rng = np.random.default_rng(0)
        gradients = [keras.ops.array(rng.normal(size=v.shape), "float32") for v in weights]
        rule = building.rule(run.config)
        perturbed = rule(gradients, weights)
        lengths.append(np.sqrt(sum(float(keras.ops.sum(e**2)) for e in perturbed)))
    assert lengths[1] < lengths[0] < 1.05 * lengths[1]

"""The wheel works away from the checkout, and the house stays in order."""

import ast
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[1]
MODULES = sorted([*ROOT.glob("keras_zsharp/**/*.py"), *ROOT.glob("models/**/*.py")])


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("keras_zsharp", "models"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    command = [sys.executable, "-m", "pip", "wheel", str(folder), "-w", str(folder), "-q"]
    subprocess.run([*command, "--no-deps", "--no-build-isolation"], check=True)
    [path] = folder.glob("*.whl")
    return path


def test_wheel_holds_the_library_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        str(path.relative_to(ROOT)).replace("models/", "keras_zsharp/models/", 1)
        if path.is_relative_to(ROOT / "models")
        else str(path.relative_to(ROOT))
        for path in MODULES
    } | {"keras_zsharp/data/checksums.tsv"}
    assert {name for name in names if ".dist-info/" not in name} == expected


def test_wheel_trains_away_from_the_checkout(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    program = """
import keras, numpy, keras_zsharp, pathlib
assert pathlib.Path(keras_zsharp.__file__).parents[1] == pathlib.Path.cwd(), keras_zsharp.__file__
model = keras_zsharp.SharpnessAwareModel(keras_zsharp.models.small_cnn(), "zsharp")
model.compile("adamw", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(numpy.zeros((2, 8, 8, 1)), numpy.zeros(2), verbose=0)
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_of(folder):
    paths = (ROOT / folder).glob("**/*.py") if (ROOT / folder).is_dir() else [ROOT / folder]
    return {name for path in paths for name in imports(path)}


def test_one_module_touches_keras_inside():
    users = {path.name for path in MODULES if any("keras.src" in name for name in imports(path))}
    assert users == {"_keras.py"}


def test_rules_know_no_backend_no_model_and_no_optimizer():
    folders = ("perturbations", "masks.py", "selection.py", "search.py")
    for name in set().union(*(imports_of(f"keras_zsharp/{folder}") for folder in folders)):
        assert not name.startswith(("tensorflow", "keras_zsharp.training", "keras_zsharp.model"))


@pytest.mark.parametrize(
    "folder",
    ["keras_zsharp/callbacks", "keras_zsharp/data", "keras_zsharp/sharpness", "models"],
)
def test_what_surrounds_training_knows_no_rule(folder):
    assert not {
        name for name in imports_of(folder) if name.startswith("keras_zsharp.perturbations")
    }
    assert not {name for name in imports_of(folder) if name.startswith("keras_zsharp.training")}

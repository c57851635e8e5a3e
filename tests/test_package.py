"""The wheel works away from the checkout, and the house stays in order."""

import ast
import itertools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import keras
import pytest

import keras_zsharp

pytestmark = pytest.mark.project
ROOT = pathlib.Path(__file__).parents[1]
MODULES = sorted([*ROOT.glob("keras_zsharp/**/*.py"), *ROOT.glob("models/**/*.py")])
INTERNALS = sorted(ROOT.glob("keras_zsharp/keras_internals/*.py"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("keras_zsharp", "models"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
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
    } | {f"keras_zsharp/{name}" for name in ("data/checksums.tsv", "data/digits.npz", "py.typed")}
    assert {name for name in names if ".dist-info/" not in name} == expected


def test_an_index_shows_the_readme_with_links_that_lead_somewhere(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [path] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        fields, _, shown = archive.read(path).decode().replace("\r\n", "\n").partition("\n\n")
    assert "\nDescription-Content-Type: text/markdown\n" in fields
    [homepage] = re.findall(r"^Project-URL: Homepage, (.*)$", fields, re.MULTILINE)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.sub(rf"{homepage}/(blob|raw)/main/", "", shown).strip() == readme.strip()
    links = re.findall(r"(!?)\[[^\[\]]*\]\((.*?)\)", shown)
    assert len(links) > 20
    for picture, address in links:
        kind = "raw" if picture else "blob"
        assert address.startswith(("https://archive.ics", f"{homepage}/{kind}/main/"))


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


MISSING = """
import sys

class Missing:
    def find_spec(name, path, target=None):
        if name == {backend!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing)
"""
KERAS_FIRST = """
try:
    import keras
except ImportError:  # as in the cell of a notebook before
    pass
"""


def said_at_import(backend, before=""):
    """The last line of what Python says of `import keras_zsharp`."""
    program = f"{before}\nimport keras_zsharp\n"
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, check=False)
    return done.stderr.decode().splitlines()[-1]


@pytest.mark.parametrize("first", ["", KERAS_FIRST], ids=["alone", "keras first"])
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_backend_that_is_not_installed_is_named(backend, first):
    assert said_at_import(backend, MISSING.format(backend=backend) + first) == (
        f"ImportError: Keras' backend is {backend!r}, which is not installed: "
        f'pip install "keras-zsharp[{backend}]". '
        'For another backend, set KERAS_BACKEND to "tensorflow", "jax" or "torch".'
    )


@pytest.mark.parametrize("backend", ["pytorch", "openvino"])
def test_a_backend_that_is_not_ours_is_named(backend):
    said = said_at_import(backend, MISSING.format(backend="openvino"))
    assert said.startswith(
        'ImportError: KERAS_BACKEND must be "tensorflow", "jax" or "torch". Keras said: '
    )
    assert backend in said


def test_one_version(wheel):
    version = keras_zsharp.__version__
    assert wheel.name.startswith(f"keras_zsharp-{version}-")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    [day] = re.findall(r"^date-released: (.*)$", citation, re.MULTILINE)
    assert f"\nversion: {version}\n" in citation
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d.*)\] - (.*)$", changes, re.MULTILINE)
    assert released[0] == (version, day)
    assert [day for _, day in released] == sorted([day for _, day in released], reverse=True)


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_of(*names):
    paths = [path for name in names for path in ROOT.glob(name)]
    assert paths
    return {imported for path in paths for imported in imports(path)}


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def own_names():
    """Private names that the library gives itself: functions, methods, attributes."""
    for node in itertools.chain.from_iterable(ast.walk(tree(path)) for path in MODULES):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.attr if isinstance(node, ast.Attribute) else node.id


INSIDE = (
    keras.Model,
    keras.Variable,
    keras.StatelessScope,
    keras.optimizers.Optimizer,
    keras.metrics.Metric,
    keras.losses.Loss,
)


INSIDE_OF = r"(keras\.src|tensorflow\.python)\b[\w.]*"


def of_keras(path, ours):
    """What a module uses of Keras, or of TensorFlow, that has no public name."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef) and is_private(node.name):
            if any(hasattr(of, node.name) for of in INSIDE):
                yield node.name
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            if node.attr not in ours or any(hasattr(of, node.attr) for of in INSIDE):
                yield node.attr
        elif isinstance(node, ast.Attribute) and ast.unparse(node).startswith("keras.src"):
            yield ast.unparse(node)
        elif isinstance(node, ast.Constant) and re.fullmatch(INSIDE_OF, str(node.value)):
            yield node.value
    yield from (name for name in imports(path) if re.fullmatch(INSIDE_OF, name))


def test_one_package_touches_keras_inside():
    """By import, attribute or overriding, whatever the name; one TensorFlow, and one PyTorch."""
    ours = {name for name in own_names() if is_private(name)} | {"_replace"}  # of a NamedTuple
    users = {path.name: set(of_keras(path, ours)) for path in MODULES if path not in INTERNALS}
    assert sum(len(set(of_keras(path, ours))) for path in INTERNALS) > 10
    assert users.pop("tensorflow_internals.py")
    assert users.pop("torch_internals.py")
    assert {name: found for name, found in users.items() if found} == {}


RULES = (
    *("keras_zsharp/rules/**/*.py", "keras_zsharp/selection/**/*.py"),
    *("keras_zsharp/checks.py", "keras_zsharp/ops.py", "keras_zsharp/keras_internals/*.py"),
    *("keras_zsharp/typing.py", "keras_zsharp/backend/__init__.py"),
)
KNOW_BACKENDS = ("tracking.py", "typing.py")


def test_one_module_asks_for_the_backend():
    asking = [p for p in MODULES if "keras.backend.backend()" in p.read_text(encoding="utf-8")]
    assert asking == [ROOT / "keras_zsharp" / "backend" / "__init__.py"]


def test_backends_know_nothing_of_the_method():
    known = ("backend", "copies", "interrupts", "keras_internals", "ops", "outside")
    for name in imports_of("keras_zsharp/backend/**/*.py"):
        package, _, rest = name.partition(".")
        assert package != "keras_zsharp" or rest.split(".")[0] in (*known, "typing"), name


def test_rules_know_no_backend_no_model_and_no_optimizer():
    """Nor does what they are made of, but for the modules that are there to know them."""
    paths = [path for name in RULES for path in ROOT.glob(name)]
    known = {path.stem for path in paths} | {
        "backend",
        "keras_internals",
        "rules",
        "selection",
    }
    for path in paths:
        for name in imports(path):
            package, _, rest = name.partition(".")
            assert package not in ("tensorflow", "jax", "torch") or path.name in KNOW_BACKENDS
            assert package != "keras_zsharp" or rest.split(".")[0] in known, (path, name)


@pytest.mark.parametrize(
    "folder",
    ["keras_zsharp/callbacks", "keras_zsharp/data", "keras_zsharp/flatness", "models"],
)
def test_what_surrounds_training_knows_no_rule(folder):
    for name in imports_of(f"{folder}/**/*.py"):
        assert not name.startswith(("keras_zsharp.rules", "keras_zsharp.training"))

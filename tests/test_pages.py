"""The pages' programs run, their links lead somewhere, and their commands are the ones CI runs."""

import os
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests import markdown
from tests.models.test_networks import NETWORKS

pytestmark = pytest.mark.project
ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("**/*.md"))]
SHORTER = {
    r"epochs=\d+": "epochs=1",
    r"executions_per_trial=\d+": "executions_per_trial=1",
    r"\[0\.05, 0\.1, 0\.2, 0\.5, 1\.0\]": "[0.05, 0.5]",
    r"points=\d+": "points=2",
    r"samples=\d+": "samples=2",
    r"lanczos_steps=\d+": "lanczos_steps=2",
    r"range\(5\)": "range(2)",
    r"\(0\.2, 0\.5, 1\.0\)": "(0.2, 0.5)",
    r"every=5\b": "every=1",
    r"perturb_from=20\b": "perturb_from=2",
}


def read(page):
    return page.read_text(encoding="utf-8")


def programs(page):
    """But those of Keras 2, which nothing here can run."""
    found = markdown.programs(read(page))
    return [program for program in found if "SharpnessAwareMinimization(" not in program]


def shortened(program):
    """The same program, which takes seconds."""
    for long, short in SHORTER.items():
        program = re.sub(long, short, program)
    return program


def run(program, scope):
    """In this process, unless the program chooses a backend."""
    if "KERAS_BACKEND" not in program:
        exec(program, scope)
        return
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "sharpness" in done.stdout


@pytest.fixture
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    policy = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(policy)


# The methods' programs are run in tests/test_methods.py.
WITH_PROGRAMS = [page for page in PAGES if programs(page) and page.parent.name != "methods"]


@pytest.mark.usefixtures("in_a_folder")
@pytest.mark.parametrize("page", WITH_PROGRAMS, ids=lambda page: page.name)
def test_programs_run_in_order(page, capsys):
    scope = {"__name__": "__main__"}
    with tfds.testing.mock_data(num_examples=4):
        for program in programs(page):
            run(shortened(program), scope)
    PROMISES.get(page.name, lambda scope, printed: None)(scope, capsys.readouterr().out)


def first_run(scope, printed):
    assert "sharpness" in scope["model"].history.history
    assert type(keras.saving.load_model("net.keras")) is type(scope["net"])
    assert pathlib.Path("served").is_dir()


def choosing(scope, printed):
    assert re.search(r"\{'rho': 0\.0?5\}", printed)


def options(scope, printed):
    assert (scope["model"].rule.rho, scope["model"].perturb_every) == (0.1, 2)


def cost(scope, printed):
    assert scope["times"].keys() == {"SAM", "SAM, every second step", "LookSAM", "MSAM"}


def precision(scope, printed):
    assert scope["net"].compute_dtype == "float16"
    assert scope["model"].skips_nonfinite


def resume(scope, printed):
    assert not pathlib.Path("backup").exists()


def own_model(scope, printed):
    assert type(keras.saving.load_model("plain.keras")) is type(scope["model"])
    assert {"twice", "sharpness"} <= scope["net"].history.history.keys()


def own_rule(scope, printed):
    np.testing.assert_allclose(scope["epsilon"], [0, 0.5], atol=1e-6)
    assert scope["loaded"].rule.get_config()["floor"] == 1e-3


def keras_hub(scope, printed):
    assert scope["task"].history.history["sharpness"][0] > 0


def flatness(scope, printed):
    assert all(pathlib.Path(f"{name}.png").exists() for name in ("landscape", "density"))
    assert {layer.path for layer in scope["net"].layers if layer.weights} == set(scope["traces"])
    assert "hessian_eigenvalue" in pathlib.Path("log.csv").read_text()


def analysis(scope, printed):
    assert scope["model"].history.history["sharpness"][0] > 0


def recipes(scope, printed):
    header = pathlib.Path("log.csv").read_text().splitlines()[0].split(",")
    assert {"loss", "accuracy", "sharpness", "rho", "val_accuracy"} <= set(header)
    assert all(any(pathlib.Path(folder).iterdir()) for folder in ("runs", "served"))
    assert pathlib.Path("history.png").exists()


def faq(scope, printed):
    """The page has the errors word by word."""
    page = " ".join(read(DOCS / "guides" / "faq.md").split())
    assert len(printed.splitlines()) == 4
    assert [line for line in printed.splitlines() if line not in page] == []


def replace_sam_model(scope, printed):
    assert all("sharpness" in scope[name].history.history for name in ("model", "net"))


def limits(scope, printed):
    assert "keras_zsharp.sharpness_aware(model, rule)" in printed


PROMISES = {
    "first-run.md": first_run,
    "choosing.md": choosing,
    "options.md": options,
    "cost.md": cost,
    "precision.md": precision,
    "resume.md": resume,
    "own-model.md": own_model,
    "own-rule.md": own_rule,
    "keras-hub.md": keras_hub,
    "flatness.md": flatness,
    "analysis.md": analysis,
    "limits.md": limits,
    "recipes.md": recipes,
    "faq.md": faq,
    "replace_sam_model.md": replace_sam_model,
}
"""What a page says of its programs, beyond that they run."""


def test_every_guide_starts_with_a_program_that_runs():
    guides = [page for page in DOCS.glob("guides/*.md") if page.name != "index.md"]
    for page in guides:
        assert "```python" in read(page).partition("\n## ")[0], page
        assert page in WITH_PROGRAMS


def test_table_of_networks():
    page = read(DOCS / "results" / "networks.md")
    rows = [f"| `{name}` | {network.parameters:,} |" for name, network in NETWORKS.items()]
    assert [row for row in rows if row not in page] == []


def links(page):
    """Files that a page leads to, and the anchors there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if not target.startswith(("http:", "https:")):
            path, _, anchor = target.partition("#")
            yield (page.parent / path).resolve() if path else page, anchor


def anchors(page):
    return set(map(markdown.anchor, re.findall(r"^#+ (.*)$", read(page), re.MULTILINE)))


def test_links_lead_somewhere():
    for page in PAGES:
        for path, anchor in links(page):
            assert path.exists(), (page, path)
            assert not anchor or anchor in anchors(path), (page, path, anchor)


def test_every_page_can_be_reached_from_the_readme():
    reached, found = set(), [ROOT / "README.md"]
    while found:
        page = found.pop()
        if page not in reached:
            reached.add(page)
            found += [path for path, _ in links(page) if path.suffix == ".md"]
    assert set(PAGES) <= reached


WRITTEN = {"index", "experiments", "networks"}
PRINTED = [page for page in sorted(DOCS.glob("results/*.md")) if page.stem not in WRITTEN]


def test_a_table_has_one_home():
    """Other pages link to it: a table that is written twice is measured anew in one of them."""
    lines = {page: set(read(page).splitlines()) for page in PAGES}
    for table in PRINTED:
        rows = {line for line in lines[table] if re.match(r"\|.*\d", line)}
        assert rows, table
        assert [page for page in PAGES if page != table and rows & lines[page]] == [], table


def test_ci_runs_the_test_command_and_every_tier():
    script = "".join(read(ROOT / ".ci" / name) for name in ("run", "fast", "nightly"))
    [pattern] = re.findall(r"grep -m1 -- '(.*?)\$' README", script)
    [command] = [line for line in read(ROOT / "README.md").splitlines() if line.endswith(pattern)]
    assert '-e ".[test]"' in command
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    [others] = re.findall(r"-m 'not (.*)'\"", project)
    tiers = others.split(" and not ")
    assert tiers == re.findall(r'^    "(\w+): ', project, re.MULTILINE)
    for tier in tiers:
        assert re.search(rf"-m {tier}$", script, re.MULTILINE), tier

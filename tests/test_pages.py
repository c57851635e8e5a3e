"""The pages' programs run, their links lead somewhere, and their commands are the ones CI runs."""

import dataclasses
import pathlib
import re

import keras
import pytest
import tensorflow_datasets as tfds

import keras_zsharp
from examples import train
from tests.models.test_networks import NETWORKS

pytestmark = pytest.mark.project
ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
DOCS = ROOT / "docs"


def read(page):
    return page.read_text(encoding="utf-8")


def programs(page):
    return re.findall(r"```python\n(.*?)```", read(page), re.DOTALL)


def test_programs_in_order(tmp_path, monkeypatch):
    """The first example, and those that go on from it."""
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(programs(ROOT / "README.md")[0].replace("epochs=20", "epochs=1, verbose=0"), scope)
    assert (tmp_path / "net.keras").exists()
    assert "sharpness" in scope["model"].history.history
    following, resuming, in_place, mixin = programs(DOCS / "training.md")
    exec(following, dict(scope))
    exec(resuming.replace("epochs=20", "epochs=1"), scope)
    assert not (tmp_path / "backup").exists()
    exec(in_place.replace("epochs=20", "epochs=1, verbose=0"), scope)
    assert type(keras.saving.load_model(tmp_path / "plain.keras")) is type(scope["net"])
    exec(mixin, scope)
    assert scope["Net"]().perturbation.get_config()["rho"] == 0.05
    few = {"train": lambda test=scope["data"].test: test.take(1)}
    scope["data"] = dataclasses.replace(scope["data"], pipelines=scope["data"].pipelines | few)
    [measuring] = programs(DOCS / "flatness.md")
    exec(measuring.replace("points=21", "points=2").replace("epochs=20", "epochs=5"), scope)
    assert (tmp_path / "landscape.png").exists()
    assert "hessian_eigenvalue" in (tmp_path / "log.csv").read_text()


def test_sweep_of_radii(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    [sweep] = programs(DOCS / "guides" / "choosing.md")
    fewer = sweep.replace("[0.05, 0.1, 0.2, 0.5, 1.0]", "[0.05, 0.5]")
    exec(fewer.replace("executions_per_trial=3", "executions_per_trial=1").replace("=20", "=1"), {})
    assert re.search(r"\{'rho': 0\.0?5\}", capsys.readouterr().out)


def test_analysis_example():
    [analysis] = programs(DOCS / "analysis.md")
    data = keras_zsharp.data.digits()
    net = keras_zsharp.models.small_cnn(data.input_shape, data.classes)
    scope = {"keras_zsharp": keras_zsharp, "data": data, "net": net}
    exec(analysis, scope)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    scope["model"].compile("adamw", loss)
    history = scope["model"].fit(data.train.take(2), verbose=0).history
    assert history["sharpness"][0] > 0


def test_papers_example():
    [papers] = programs(DOCS / "papers.md")
    scope = {"keras_zsharp": keras_zsharp}
    with tfds.testing.mock_data(num_examples=4):
        exec(papers, scope)
    assert scope["net"](next(iter(scope["data"].train))[0]).shape == (4, 10)


def test_every_program_is_run():
    """Those of the methods are, in `tests/test_methods.py`."""
    run = {
        "README.md": 2,
        "training.md": 4,
        "flatness.md": 1,
        "analysis.md": 1,
        "papers.md": 1,
        "choosing.md": 1,
    }
    others = [page for page in PAGES if page.parent.name != "methods" and programs(page)]
    assert {page.name: len(programs(page)) for page in others} == run


def test_training_command_names_what_there_is():
    [command] = re.findall(r"examples/train.py (--.*)", read(ROOT / "README.md"))
    options = train.parse(command.split())
    assert (options.model, options.perturbation) == ("resnet56", "zsharp")


@pytest.mark.parametrize("name", NETWORKS)
def test_table_of_networks(name):
    assert f"| `{name}` | {NETWORKS[name].parameters:,} |" in read(DOCS / "papers.md")


def links(page):
    """Files that a page leads to, and the anchors there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if not target.startswith(("http:", "https:")):
            path, _, anchor = target.partition("#")
            yield (page.parent / path).resolve() if path else page, anchor


def anchors(page):
    headings = re.findall(r"^#+ (.*)$", read(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for path, anchor in links(page):
        assert path.exists(), path
        assert not anchor or anchor in anchors(path), (path, anchor)


def test_every_page_can_be_reached_from_the_readme():
    reached, found = set(), [ROOT / "README.md"]
    while found:
        page = found.pop()
        if page not in reached:
            reached.add(page)
            found += [path for path, _ in links(page) if path.suffix == ".md"]
    assert set(PAGES) <= reached


@pytest.mark.parametrize("table", sorted(DOCS.glob("results/*.md")), ids=lambda path: path.stem)
def test_a_table_has_one_home(table):
    """Other pages link to it: a table that is written twice is measured anew in one of them."""
    rows = {line for line in read(table).splitlines() if re.match(r"\|.*\d", line)}
    assert rows
    for page in PAGES:
        assert page == table or not rows & set(read(page).splitlines()), page


def test_ci_runs_the_test_command_and_every_tier():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    [pattern] = re.findall(r"grep -m1 -- '(.*?)\$' README", script)
    [command] = [line for line in read(ROOT / "README.md").splitlines() if line.endswith(pattern)]
    assert '-e ".[test]"' in command
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    [others] = re.findall(r"-m 'not (.*)'\"", project)
    tiers = others.split(" and not ")
    assert tiers == re.findall(r'^    "(\w+): ', project, re.MULTILINE)
    for tier in tiers:
        assert re.search(rf"-m {tier}$", script, re.MULTILINE), tier


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_takes_what_was_not_shown_for_equal(page):
    """A p above 0.05, or an interval with 0 in it, does not say that two methods are equal."""
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"\bties? with\b|\bas good as (one|SAM|each|any)\b", text)

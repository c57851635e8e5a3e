"""A report's numbers are those that a hand computes from the runs."""

import dataclasses
import math
import re

import pytest

from experiments import plan, report, results, tables
from experiments.grid import Grid, Method, Recipe, Setting
from tests.examples import tiny_grid

RECIPE = Recipe(2, 64, "adamw", 1e-3, 0.0, "steps", validation=0.1, label_noise=0.2)


def made(folder, **changes):
    """A plan of two methods with three seeds; the second chooses between two radii."""
    settings = {
        "title": "<Title>",
        "recipe": RECIPE,
        "settings": (Setting("A", "digits", "small_cnn"),),
        "methods": (
            Method("AdamW"),
            Method("SAM", "SAM", choose={"rho": (0.1, 0.2)}),
        ),
        "reference": "AdamW",
        "paper": {("A", "SAM"): (90.0, 1.0)},
    }
    return plan.Plan(Grid(**{**settings, **changes}), folder)


def finish(todo, run, accuracy, validation=0.5, noisy=None):
    tiny_grid.finish(todo.folder(run), todo.config(run), accuracy, validation, noisy)
    todo.look(run)


@pytest.fixture
def todo(tmp_path):
    """SAM is over AdamW by 1, 2 and 1 %; the radius that tests better validates worse."""
    todo = made(tmp_path)
    accuracies = {None: (0.89, 0.90, 0.93), 0.1: (0.90, 0.92, 0.94), 0.2: (0.99, 0.99, 0.99)}
    for run in todo.runs:
        rho = run.choice.get("rho")
        finish(todo, run, accuracies[rho][run.seed], 0.4 if rho == 0.2 else 0.5)
    return todo


def lines(todo):
    told = tables.of(todo)
    return report.table(told, told.runs).to_dict("records")


def test_numbers(todo):
    adamw, sam = lines(todo)
    # The standard deviations: sqrt((0.1667² * 100 + ...) / 2), of 89, 90, 93 and of 90, 92, 94.
    assert adamw["test accuracy"] == f"90.67 ± {math.sqrt(13 / 3):.2f}"
    assert sam["test accuracy"] == "92.00 ± 2.00"
    assert sam["chosen"] == "rho=0.1"
    assert (sam["paper"], sam["difference"]) == ("90.00 ± 1.00", "+2.00")
    assert (adamw["paper"], adamw["difference"], adamw["could show"]) == ("", "", "")
    # Of 1, 2 and 1 the standard error is 1/3. With two degrees of freedom, a share x of Student's
    # distribution is within -t and t for t = x sqrt(2 / (1 - x²)): 95 %, and 60 % for 80 % below t.
    t, power = (x * math.sqrt(2 / (1 - x**2)) for x in (0.95, 0.6))
    low, high = (4 / 3 + sign * t / 3 for sign in (-1, 1))
    assert sam["over AdamW"] == f"+1.33 [{low:+.2f}, {high:+.2f}]"
    assert sam["could show"] == f"{(t + power) / 3:.2f}"
    assert sam["best"] == "93.00"
    assert sam["train loss"] == "0.2500"
    assert (adamw["runs"], sam["runs"]) == ("3 of 3", "6 of 6")


def test_seconds_are_those_of_each_epoch(tmp_path):
    """Of 9, 2 and 5 s by epoch: 2 + 2 + 5 s, though one run was held up in its last."""
    recipe = dataclasses.replace(RECIPE, epochs=3)
    todo = made(tmp_path, recipe=recipe, timed=True, methods=(Method("AdamW"),), paper={})
    for run, last in zip(todo.runs, (5, 50, 5), strict=True):
        finish(todo, run, 0.9)
        path = todo.folder(run) / "history.csv"
        text = path.read_text().replace("0,0.25,2,", "0,0.25,9,").replace("2,0.25,2,", "2,0.25,L,")
        path.write_text(text.replace("L", str(last)))
        todo.look(run)
    [line] = lines(todo)
    assert line["seconds"] == "9.0"
    assert "by-seconds.png" in report.write(todo).with_suffix(".md").read_text()


def test_files(todo):
    path = report.write(todo)
    text, page = (path.with_suffix(s).read_text(encoding="utf-8") for s in (".md", ".html"))
    for content in (text, page):
        assert "All 9 runs are finished." in content
        assert "92.00 ± 2.00" in content
        assert "held-out training data" in content
    assert "# <Title>" in text
    assert "&lt;Title&gt;" in page
    assert "<Title>" not in page
    pictures = re.findall(r"\]\((.*)\)", text)
    assert len(pictures) == 2
    for picture in pictures:
        assert (todo.output / picture).read_bytes().startswith(b"\x89PNG")
    sources = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"'>]*)""", page)
    assert [source.split(",")[0] for source in sources] == ["data:image/png;base64"] * 2
    assert "<script" not in page
    assert "http" not in page


@pytest.mark.parametrize("axis", ["rho", "label_noise"])
def test_pictures_over_an_axis(todo, axis):
    grid = made(todo.output, axis=axis).grid
    todo.grid = grid
    assert f"![small_cnn on digits by {axis}]" in report.markdown(tables.of(todo))[0]


def test_incomplete(tmp_path):
    todo = made(tmp_path)
    text = report.markdown(tables.of(todo))[0]
    assert "Incomplete: 9 of 9 runs are missing" in text
    assert "## A\n\nNo run is finished.\n" in text
    assert "| AdamW |" not in text
    first, second = (r for r in todo.runs if r.seed == 0 and r.choice.get("rho") != 0.2)
    finish(todo, second, 0.75)
    assert "| AdamW | missing |" in report.markdown(tables.of(todo))[0].replace("|  |", "|")
    finish(todo, first, 0.5)
    text = report.markdown(tables.of(todo))[0]
    # One seed has neither a standard deviation nor a test.
    assert "| AdamW |  | 50.00 | 51.00 |  |  |  | 0.2500 | 1 of 3 |" in text
    assert (
        "| SAM | rho=0.1 | 75.00 | 76.00 | 90.00 ± 1.00 | -15.00 | +25.00 | 0.2500 | 1 of 6 |"
        in text
    )


def test_no_interval_without_variance(tmp_path):
    todo = made(tmp_path, methods=(Method("AdamW"), Method("SAM", "SAM")))
    for run in todo.runs:
        # By 25 % with every seed, though the seeds differ.
        finish(todo, run, 0.5 + 0.125 * run.seed + 0.25 * (run.method.label == "SAM"))
    runs = tables.of(todo).runs
    adamw, sam = (results.percent(runs[runs["method"] == name]) for name in ("AdamW", "SAM"))
    assert results.difference(sam, adamw) == ("+25.00", "")
    assert results.difference(sam, sam) == ("+0.00", "")


@pytest.fixture
def chosen_first(tmp_path):
    """The first seed chooses: 0.2 by clean labels, 0.1 by noisy ones, 0.3 by neither."""
    methods = (Method("AdamW"), Method("SAM", "SAM", choose={"rho": (0.1, 0.2, 0.3)}))
    recipe = dataclasses.replace(RECIPE, clean_validation=True)
    todo = made(tmp_path, methods=methods, recipe=recipe, paper={}, choosing_seeds=(0,))
    first = [run for run in todo.runs if run.seed == 0]
    assert todo.left() == [run for run in todo.runs if run.seed == 0 or run.method.rule is None]
    for run in first:
        clean, noisy = {None: (0.5, 0.4), 0.1: (0.5, 0.4), 0.2: (0.6, 0.3), 0.3: (0.1, 0.1)}[
            run.choice.get("rho")
        ]
        finish(todo, run, 0.7, clean, noisy)
    return todo


def test_other_seeds_have_what_the_first_chose(chosen_first):
    todo = chosen_first
    names = ["a-adamw", "a-sam-rho=0.1", "a-sam-rho=0.2"]
    assert [run.name for run in todo.left()] == [
        f"{n}-seed{seed}" for seed in (1, 2) for n in names
    ]
    for run in todo.left():
        # Their held-out labels would choose otherwise.
        clean = 0.9 if run.choice.get("rho") == 0.1 else 0.2
        finish(todo, run, 0.8, clean, 1 - clean)
    assert todo.left() == []
    _, sam = lines(todo)
    assert sam["chosen"] == "rho=0.2"
    assert sam["by noisy labels"] == "rho=0.1 76.67 ± 5.77"
    assert sam["runs"] == "7 of 7"
    text = report.markdown(tables.of(todo))[0]
    assert "All 10 runs are finished." in text
    assert "The runs with seed 0 choose; " in text


def test_a_choice_waits_for_all_that_it_is_made_from(chosen_first):
    [run] = (r for r in chosen_first.runs if r.seed == 0 and r.choice.get("rho") == 0.3)
    del chosen_first.finished[run.name]
    assert {r.method.label for r in chosen_first.left() if r.seed} == {"AdamW"}


def test_seeds_that_choose_must_be_among_the_seeds(tmp_path):
    with pytest.raises(ValueError, match=r"`choosing_seeds` must be one of 0, 1, 2\. Received: 7"):
        made(tmp_path, choosing_seeds=(7,))


def test_comparisons(tmp_path):
    methods = (Method("AdamW"), Method("SAM", "SAM"), Method("ZSharp", "ZSharp"))
    todo = made(tmp_path, methods=methods, paper={}, comparisons=(("ZSharp", "SAM"),))
    assert "| over |" not in report.markdown(tables.of(todo))[0]
    for run in todo.runs:
        more = {"AdamW": 0.5, "SAM": 0.6 + 0.01 * (run.seed == 1), "ZSharp": 0.7}
        finish(todo, run, more[run.method.label])
    # Of 10, 9 and 10.
    expected = "| ZSharp | SAM | +9.67 [+8.23, +11.10] | 1.79 |"
    assert (
        f"| method | over | by | could show |\n| --- | ---: | ---: | ---: |\n{expected}"
        in (report.markdown(tables.of(todo))[0])
    )
    with pytest.raises(ValueError, match="`comparisons` must be one of AdamW, SAM, ZSharp"):
        made(tmp_path, methods=methods, paper={}, comparisons=(("ZSharp", "ASAM"),))


def test_the_choice_without_noise_has_no_second_column(todo):
    assert "by noisy labels" not in lines(todo)[0]

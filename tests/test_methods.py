"""Each rule, and each setting that goes with any rule, has a page that says what is so."""

import inspect
import json
import math
import pathlib
import re

import keras
import numpy as np
import pytest

import keras_zsharp
from keras_zsharp.rules import RULES
from keras_zsharp.training import StepOptions
from tests.markdown import programs, section, tables
from tests.rules import tables as printed

pytestmark = pytest.mark.project
FOLDER = pathlib.Path(__file__).parents[1] / "docs" / "methods"
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in sorted(FOLDER.glob("*.md"))}
SETTINGS = ("ascent_fraction", "late_phase", "m_sharpness", "sam_on")
CLASSES = RULES | dict.fromkeys(SETTINGS, StepOptions)
FALLING = keras.optimizers.schedules.CosineDecay(0.5, decay_steps=10)


def arguments(page):
    [rows] = tables(section(PAGES[page], "Arguments"))
    return [{head: cell.strip("`") for head, cell in row.items()} for row in rows]


ARGUMENTS = [(page, row) for page in CLASSES for row in arguments(page)]


def test_the_table_is_printed_from_the_rules():
    [table] = printed.TABLE.findall(PAGES["index"])
    assert table == printed.table(), "python -m tests.rules.tables"


def test_each_rule_as_called_and_all_its_arguments():
    for page, rule in RULES.items():
        parameters = inspect.signature(rule).parameters
        call = ", ".join(
            f"{name}={json.dumps(parameter.default)}"
            for name, parameter in parameters.items()
            if parameter.kind is not parameter.KEYWORD_ONLY
        )
        name = rule.__name__
        title, picture, first, *_ = PAGES[page].split("\n\n")
        assert title == f"# {name}"
        assert picture.startswith(f'<img class="bowl" src="../assets/bowls/{page}.svg" alt=')
        assert first.startswith(f"`keras_zsharp.{name}({call})` ")
        assert [row["argument"] for row in arguments(page)] == list(parameters)


def test_defaults():
    for page, row in ARGUMENTS:
        default = inspect.signature(CLASSES[page]).parameters[row["argument"]].default
        assert row["default"].strip('"') == str(default), (page, row)


NUMBERS = {
    ("float", ">= 0"): ([0.0, 1e9], [math.nextafter(0, -1), math.nextafter(1e9, math.inf)]),
    ("float", "> 0"): ([math.nextafter(0, 1), 1e9], [0.0, math.nextafter(1e9, math.inf)]),
    ("float", "[0, 1]"): ([0.0, 1.0], [math.nextafter(0, -1), math.nextafter(1, 2)]),
    ("float", "[0, 1)"): ([0.0, math.nextafter(1, 0)], [math.nextafter(0, -1), 1.0]),
    ("float", "(0, 1]"): ([math.nextafter(0, 1), 1.0], [0.0, math.nextafter(1, 2)]),
    ("int or float", ">= 0, or within (0, 1)"): (
        [0, 2**63 - 1, math.nextafter(0, 1), math.nextafter(1, 0)],
        [-1, 2**63, 0.0, 1.0, 1.5],
    ),
    ("float", "any"): ([-1e9, 1e9], [math.nextafter(-1e9, -math.inf), math.inf, math.nan]),
    ("int", ">= 0"): ([0, 2**63 - 1], [-1, 0.5, 2**63]),
    ("int", ">= 1"): ([1, 2**63 - 1], [0, 1.5, 2**63]),
}


def edges(row):
    """Values at the edges of an argument's range, and values just outside of it."""
    if (row["type"], row["range"]) in NUMBERS:
        return NUMBERS[row["type"], row["range"]]
    if row["argument"] == "name":
        return ["mine", None], ["a/b", 1]
    choices = re.findall(r'"(\w+)"', row["range"])
    if row["argument"] == "perturb_only":
        return [*choices, "head|bias", keras_zsharp.plain, None], ["head(", 1]
    return choices, ["".join(choices), None]


def test_ranges():
    for page, row in ARGUMENTS:
        taken, refused = edges(row)
        assert len(taken) > 1, (page, row)
        for value in taken:
            CLASSES[page](**{row["argument"]: value})
        for value in refused:
            with pytest.raises((TypeError, ValueError), match=row["argument"]):
                CLASSES[page](**{row["argument"]: value})


def test_what_may_change_while_training():
    for page, row in ARGUMENTS:
        may_change(row, CLASSES[page])


def may_change(row, cls):
    name = row["argument"]
    if row["while training"] == "fixed":
        with pytest.raises((TypeError, ValueError), match=name):
            cls(**{name: FALLING})
        return
    if row["while training"] == "set":
        owner = keras_zsharp.SharpnessAwareModel(keras.Sequential([keras.layers.Dense(1)]), "sam")
    else:
        assert row["while training"] == "set or scheduled"
        assert getattr(cls(**{name: FALLING}), name) == 0.5
        owner = cls()
    value = next(value for value in edges(row)[0] if value != getattr(owner, name))
    setattr(owner, name, value)
    assert getattr(owner, name) == value


@pytest.mark.parametrize("page", CLASSES)
def test_program(page):
    [program] = programs(PAGES[page])
    assert len([line for line in program.splitlines() if line]) <= 14
    few = "epochs=1, steps_per_epoch=2, validation_steps=1, verbose=0"
    short = program.replace("epochs=20", few).replace("perturb_from=0.7", "perturb_from=0.5")
    assert few in short
    scope = {}
    exec(short, scope)
    rule, history = scope["model"].rule, scope["model"].history.history
    assert page not in RULES or type(rule) is RULES[page]
    assert np.isfinite(history["val_loss"]).all()
    assert (history["sharpness"][0] != 0) == (rule.reads == "gradients")

"""A rule that is written by CONTRIBUTING.md alone passes what every rule must."""

import pathlib
import re
import unittest.mock

import keras
import pytest

from keras_zsharp.rules import RULES
from tests.backends import test_descents
from tests.markdown import programs
from tests.rules import rules
from tests.rules.checks import RuleChecks
from tests.rules.model_checks import ModelChecks

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RULE, ROW, EQUATION, ROW_OF_EQUATION = programs(PAGE)
SCOPE = {}
with unittest.mock.patch.dict(RULES):
    exec(RULE, SCOPE)


def row(text, scope):
    """The one entry of a table's row."""
    [entry] = eval(f"{{{text}}}", {**vars(scope), **SCOPE}).values()
    return entry


class TestRuleOfThePage(RuleChecks):
    @pytest.fixture
    def rule(self):
        return row(ROW, rules)


class TestRuleOfThePageInAModel(ModelChecks):
    @pytest.fixture
    def rule(self):
        return row(ROW, rules)


def test_rule_of_the_page_by_its_equation(monkeypatch):
    exec(EQUATION, vars(rules), SCOPE)
    variant = "layer_sam", row(ROW_OF_EQUATION, rules), {}
    monkeypatch.setitem(rules.RULES, "layer_sam", row(ROW, rules))
    monkeypatch.setitem(test_descents.VARIANTS, "layer_sam", variant)
    test_descents.test_steps_by_the_equations("layer_sam", None, "default")


def test_the_checks_find_faults():
    """A rule that hides NaN, and one that forgets an argument."""
    hiding = RULE.replace("return epsilon", "return keras.ops.nan_to_num(epsilon)")
    forgetting = RULE.replace(', "power": self.power', "")
    assert len({RULE, hiding, forgetting}) == 3
    for text, check in (
        (hiding, lambda rule: RuleChecks().test_poison_is_not_hidden(rule, float("nan"))),
        (forgetting, RuleChecks().test_every_argument_is_in_the_config),
    ):
        scope = {"keras": keras}
        with unittest.mock.patch.dict(RULES):
            exec(text, scope)
        with pytest.raises(AssertionError):
            check(scope["LayerSAM"](rho=0.1, power=0.5))


@pytest.mark.project
def test_what_the_page_names_is_there():
    paths = set(re.findall(r"`(?!\.venv|dist)([\w.]+/[\w./]*)[ `]", PAGE))
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path.replace("NAME", "torch")).exists()] == []


@pytest.mark.project
def test_scripts_are_called_by_ci_and_workflows():
    scripts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / ".ci").iterdir()}
    for name in scripts.keys() - {"run", "nightly"}:
        others = [text for other, text in scripts.items() if other != name]
        assert any(f".ci/{name}" in text for text in others), name
    workflows = "".join(path.read_text() for path in (ROOT / ".github/workflows").iterdir())
    assert sorted(re.findall(r"run: \.ci/(.*)", workflows)) == ["fast", "nightly", "run"]


@pytest.mark.project
def test_what_windows_runs_is_there_and_asks_nothing_of_it_that_it_lacks():
    workflow = (ROOT / ".github/workflows/platforms.yml").read_text(encoding="utf-8")
    paths = [ROOT / name for name in re.findall(r"\btests/\S+", workflow)]
    assert len(paths) > 10
    for path in paths:
        text = path.read_text(encoding="utf-8")
        lacks = re.search(r"os\.fork\(|SIGKILL|setrlimit|/proc/|fcntl|symlink_to", text)
        assert not lacks or 'os.name == "nt"' in text, path
    assert not re.search(r"\.ci/\w|shell: bash|&&", workflow.partition("jobs:")[2])

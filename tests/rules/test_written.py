"""A rule shows itself as a program writes it."""

import keras
import pytest

import keras_zsharp
from keras_zsharp import SAM, Rule, ZSharp
from tests.rules.rules import RULES

PLAIN = {name: rule for name, rule in RULES.items() if name != "zsharp_scheduled"}


def without_name(rule):
    return {name: value for name, value in rule.get_config().items() if name != "name"}


class Own(Rule):
    """A rule of a user's, with two arguments of which its config has one."""

    def __init__(self, rho=0.1, power=2, hidden=None, *, name=None):
        super().__init__(rho, name=name)
        self.power, self.hidden = power, hidden

    def get_config(self):
        return {**super().get_config(), "power": self.power}


@pytest.mark.parametrize("name", [*keras_zsharp.rules.RULES, *PLAIN, "own"])
def test_evaluates_to_a_rule_of_the_same_config(name):
    rule = Own(0.3) if name == "own" else PLAIN.get(name) or keras_zsharp.rules.get(name)
    made = eval(repr(rule), {**vars(keras_zsharp), "Own": Own})
    assert type(made) is type(rule)
    assert without_name(made) == without_name(rule)
    assert repr(made) == repr(rule)


def test_shows_numbers_as_they_are_now_and_names_that_were_given():
    rule = SAM(rho=0.05)
    rule.rho = 0.2
    assert repr(rule) == str(rule) == "SAM(rho=0.2)"
    assert repr(SAM(name="mine")) == "SAM(rho=0.05, name='mine')"
    assert repr(ZSharp()).startswith("ZSharp(rho=0.05, q_p=0.95, norm='global', ")


def test_shows_a_schedule_by_its_class():
    assert repr(SAM(keras.optimizers.schedules.CosineDecay(0.1, 10))) == "SAM(rho=<CosineDecay>)"


def test_a_rule_that_is_not_made_yet_can_be_shown():
    class Early(SAM):
        def __init__(self):
            self.shown = repr(self)
            super().__init__(rho=0.1)

    with pytest.raises(AttributeError):  # Keras', and nothing of ours.
        Early()

"""What `compare` compares: rules with their options and the values to choose from."""

from __future__ import annotations

import inspect
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_zsharp import rules
from keras_zsharp.rules import Rule


class Method:
    """A row of a comparison.

    Args:
        rule: A rule, its name or its class, which may be one of your own. None is the optimizer
            alone.
        choose: Values to choose from by their names, such as `{"rho": (0.1, 0.2, 0.5)}`. All their
            combinations are tried.
        **options: What is the same in all runs of the method.

    Names that the rule's constructor has go to the rule. The others go to `train`: options of the
    step such as `ascent_fraction`, and whatever else `train` takes, such as `epochs` or
    `learning_rate`.

    Raises:
        TypeError, ValueError: `rule` is no rule; `choose` has no value for a name; a name is in
            `choose` and in `options`.

    Example:

    >>> Method("sam", {"rho": (0.1, 0.2)}, ascent_fraction=0.25).choices
    [{'rho': 0.1}, {'rho': 0.2}]
    """

    def __init__(
        self,
        rule: Rule | type[Rule] | str | None = None,
        choose: Mapping[str, Sequence[Any]] | None = None,
        **options: Any,
    ) -> None:
        if not (choose is None or isinstance(choose, Mapping)):
            raise TypeError(f"`choose` must be a dict. Received: choose={choose!r}")
        self.choose = {name: _values(name, values) for name, values in (choose or {}).items()}
        if twice := sorted(self.choose.keys() & options):
            raise ValueError(f"`choose` and the options must differ. Both have {', '.join(twice)}")
        if not (rule is None or (isinstance(rule, type) and issubclass(rule, Rule))):
            rule = rules.get(rule)
        # No rule itself: it would be a Keras layer that other processes cannot read.
        self.rule, self.config = rule, {}
        if isinstance(rule, Rule):
            self.rule, self.config = type(rule), rule.get_config()
            self.config.pop("name")
        elif rule is None and "rho" in {**self.choose, **options}:
            raise ValueError("`rule` must not be None where there is a `rho`. Received: rule=None")
        of_rule = _arguments(self.rule) & options.keys()
        self.config |= {name: options.pop(name) for name in of_rule}
        self.options = options
        for each in self.choices:
            self.rule_with(each)  # It refuses what is out of bounds.

    @property
    def choices(self) -> list[dict[str, Any]]:
        """Every combination of the values to choose from."""
        every = itertools.product(*self.choose.values())
        return [dict(zip(self.choose, values, strict=True)) for values in every]

    def rule_with(self, choice: Mapping[str, Any]) -> Rule | None:
        """A new rule of the method, None without one.

        Args:
            choice: One of `choices`. The rule gets its part of it.
        """
        if self.rule is None:
            return None
        taken = _arguments(self.rule)
        of_rule = {name: value for name, value in choice.items() if name in taken}
        return self.rule.from_config({**self.config, **of_rule})

    def options_with(self, choice: Mapping[str, Any]) -> dict[str, Any]:
        """What `train` gets besides the rule and the seed.

        Args:
            choice: One of `choices`.
        """
        taken = _arguments(self.rule)
        return {**self.options, **{n: v for n, v in choice.items() if n not in taken}}

    def settings(self, choice: Mapping[str, Any]) -> dict[str, Any]:
        """All that says what a run computes, as JSON knows it.

        Args:
            choice: One of `choices`.
        """
        config = None
        if (rule := self.rule_with(choice)) is not None:
            config = {**rule.get_config(), "name": type(rule).__name__}
        options = {name: as_json(name, value) for name, value in self.options_with(choice).items()}
        return json.loads(json.dumps({"rule": config, "options": options}))


def as_json(name: str, value: Any) -> Any:
    """A value that JSON knows, for one that Keras serializes or that has a name.

    Raises:
        TypeError: There is none.
    """
    try:
        json.dumps(value)
        return value
    except TypeError:
        pass
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    try:
        config = keras.saving.serialize_keras_object(value)
        json.dumps(config)
        return config
    except Exception:
        raise TypeError(
            f"`{name}` must be a number, a string, a function with a name or what Keras "
            f"serializes, for a run to be known again. Received: {name}={value!r}"
        ) from None


def as_text(choice: Mapping[str, Any]) -> str:
    """A choice as JSON, by which runs are grouped."""
    return json.dumps({name: as_json(name, value) for name, value in choice.items()})


def in_words(choice: str) -> str:
    """A choice that is JSON, in words: `rho=0.2`."""
    return ", ".join(f"{name}={value}" for name, value in json.loads(choice).items())


def slug(words: str) -> str:
    """A name for a file."""
    return re.sub(r"[^a-z0-9.=]+", "-", words.lower()).strip("-")


def _values(name, values):
    if isinstance(values, str) or not isinstance(values, Sequence) or not len(values):
        raise TypeError(
            f"`choose` must have a list of values for {name!r}. Received: {name}={values!r}"
        )
    return tuple(values)


def _arguments(kind):
    """The names of the arguments of a rule's constructor."""
    classes = kind.__mro__ if kind is not None else ()
    signatures = (inspect.signature(c) for c in classes if issubclass(c, Rule))
    named = (p for s in signatures for p in s.parameters.values() if p.kind is not p.VAR_KEYWORD)
    return {parameter.name for parameter in named} - {"name"}

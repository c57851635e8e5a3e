"""The rules by their names. A rule's class enters itself, with `registered`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import keras

from keras_zsharp.checks import did_you_mean
from keras_zsharp.rules.base import Rule
from keras_zsharp.typing import Config

RULES: dict[str, Callable[..., Rule]] = {}
"""The rules by their names."""

_Class = TypeVar("_Class", bound=type[Rule])


def registered(name: str) -> Callable[[_Class], _Class]:
    """Enters a rule's class in `RULES` under its name, and with Keras, which loads files by it.

    Args:
        name: The name, as that of the class in lower case with underscores.

    Returns:
        A decorator of the class.
    """

    def enter(cls):
        RULES[name] = cls
        return keras.saving.register_keras_serializable("keras_zsharp")(cls)

    return enter


def get(rule: Rule | str | Config | None) -> Rule:
    """Finds a rule by its name or serialized form.

    Args:
        rule: A `Rule`, a rule's name such as `"zsharp"`, or a rule's serialized form.

    Returns:
        A `Rule`: the same object if it is one already.

    Raises:
        ValueError: No rule has that name.
        TypeError: `rule` is none of the above.

    Example:

    >>> get("zsharp").q_p
    0.95
    """
    if isinstance(rule, dict):
        rule = keras.saving.deserialize_keras_object(rule)
    if isinstance(rule, Rule):
        return rule
    if not isinstance(rule, str):
        raise TypeError(
            "`rule` must be a `Rule`, such as `SAM(rho=0.05)`, or a rule's name: 'sam' to begin "
            f"with, 'zsharp' for the method of the paper. Received: rule={rule!r}"
        )
    if rule not in RULES:
        raise ValueError(
            f"`rule` must be one of {', '.join(map(repr, RULES))}. Received: rule={rule!r}"
            f"{did_you_mean(rule, RULES)}"
        )
    return RULES[rule]()

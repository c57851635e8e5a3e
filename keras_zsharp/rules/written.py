"""A rule as a program writes it."""

from __future__ import annotations

import re
from typing import Any


def written(rule: Any) -> str:
    """The call that makes a rule with this config. A schedule is shown by its class.

    Args:
        rule: A rule.
    """
    config = rule.get_config()
    if _is_keras_name(config.get("name"), type(rule)):
        del config["name"]
    else:
        config["name"] = config.pop("name", rule.name)  # As the last argument.
    parts = (f"{name}={_shown(value)}" for name, value in config.items())
    return f"{type(rule).__name__}({', '.join(parts)})"


def _shown(value):
    """A number, string or the like as it is; `<CosineDecay>` for a serialized object."""
    if isinstance(value, dict) and "class_name" in value:
        return f"<{value['class_name']}>"
    return repr(value)


def _is_keras_name(name, made):
    """Whether Keras chose a rule's name: that of its class in lower case, with a number or none."""
    letters = made.__name__.lower().replace("_", "")
    return name is not None and re.sub(r"_\d+$", "", name).replace("_", "") == letters

"""The rules: each maps the gradients at w to a perturbation e(w)."""

from __future__ import annotations

from collections.abc import Callable

import keras

from keras_zsharp.rules.asam import ASAM
from keras_zsharp.rules.base import Rule
from keras_zsharp.rules.fisher_sam import FisherSAM
from keras_zsharp.rules.friendly_sam import AdaptiveFriendlySAM, FriendlySAM
from keras_zsharp.rules.gsam import GSAM
from keras_zsharp.rules.le_sam import LESAM
from keras_zsharp.rules.look_sam import LookSAM
from keras_zsharp.rules.msam import MSAM
from keras_zsharp.rules.sam import SAM
from keras_zsharp.rules.ssam import SSAM
from keras_zsharp.rules.wsam import WSAM
from keras_zsharp.rules.zsharp import ZSharp
from keras_zsharp.typing import Config

__all__ = [
    "ASAM",
    "GSAM",
    "LESAM",
    "MSAM",
    "RULES",
    "SAM",
    "SSAM",
    "WSAM",
    "AdaptiveFriendlySAM",
    "FisherSAM",
    "FriendlySAM",
    "LookSAM",
    "Rule",
    "ZSharp",
    "get",
]

RULES: dict[str, Callable[..., Rule]] = {
    "adaptive_friendly_sam": AdaptiveFriendlySAM,
    "asam": ASAM,
    "fisher_sam": FisherSAM,
    "friendly_sam": FriendlySAM,
    "gsam": GSAM,
    "le_sam": LESAM,
    "look_sam": LookSAM,
    "msam": MSAM,
    "sam": SAM,
    "ssam": SSAM,
    "wsam": WSAM,
    "zsharp": ZSharp,
}
"""The rules by their names."""


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
        )
    return RULES[rule]()

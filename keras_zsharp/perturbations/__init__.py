"""The rules: each maps the gradients at w to a perturbation e(w)."""

from __future__ import annotations

from collections.abc import Callable

import keras

from keras_zsharp.perturbations.asam import ASAM
from keras_zsharp.perturbations.base import Perturbation
from keras_zsharp.perturbations.fisher_sam import FisherSAM
from keras_zsharp.perturbations.friendly_sam import AdaptiveFriendlySAM, FriendlySAM
from keras_zsharp.perturbations.gsam import GSAM
from keras_zsharp.perturbations.le_sam import LESAM
from keras_zsharp.perturbations.look_sam import LookSAM
from keras_zsharp.perturbations.msam import MSAM
from keras_zsharp.perturbations.sam import SAM
from keras_zsharp.perturbations.ssam import SSAM
from keras_zsharp.perturbations.wsam import WSAM
from keras_zsharp.perturbations.zsharp import ZSharp
from keras_zsharp.typing import Config, Rule

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
    "Perturbation",
    "ZSharp",
    "get",
]

RULES: dict[str, Callable[..., Perturbation]] = {
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


def get(perturbation: Rule | Config) -> Perturbation:
    """Finds the rule that `perturbation` stands for.

    Args:
        perturbation: A `Perturbation`, a rule's name such as `"zsharp"`, or a rule's serialized
            form.

    Returns:
        A `Perturbation`: the same object if it is one already.

    Raises:
        ValueError: No rule has that name.
        TypeError: `perturbation` is none of the above.

    Example:

    >>> get("zsharp").q_p
    0.95
    """
    if isinstance(perturbation, dict):
        perturbation = keras.saving.deserialize_keras_object(perturbation)
    if isinstance(perturbation, Perturbation):
        return perturbation
    if not isinstance(perturbation, str):
        raise TypeError(
            "`perturbation` must be a rule, such as `ZSharp(rho=0.05)`, or a rule's name. "
            f"Received: perturbation={perturbation!r}"
        )
    if perturbation not in RULES:
        raise ValueError(
            f"`perturbation` must be one of {', '.join(map(repr, RULES))}. "
            f"Received: perturbation={perturbation!r}"
        )
    return RULES[perturbation]()

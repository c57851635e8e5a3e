"""The arguments that every dataset takes."""

from __future__ import annotations

import dataclasses
from typing import Any

from keras_zsharp.checks import count, number, one_of, positive_int
from keras_zsharp.data.library_layers import CUTOUTS, MIXED, RAND_AUGMENT
from keras_zsharp.data.noise import DRAWS, Draw, noise_share

AUGMENTATIONS: tuple[str | None, ...] = (None, "standard", *CUTOUTS, RAND_AUGMENT, *MIXED)
"""What `augment` may be."""


@dataclasses.dataclass(frozen=True)
class Options:
    """These arguments, checked."""

    batch_size: int
    augment: str | None
    label_noise: Any
    seed: int
    validation: float | None
    noise_draw: Draw = "others"

    def __post_init__(self) -> None:
        if isinstance(self.label_noise, str):
            raise ValueError(
                "`label_noise` must be a share in [0, 1]: people's labels are those of `cifar10` "
                f"alone. Received: label_noise={self.label_noise!r}"
            )
        checked = {
            "batch_size": positive_int("batch_size", self.batch_size),
            "label_noise": noise_share("label_noise", self.label_noise),
            "seed": count("seed", self.seed),
        }
        if self.validation is not None:
            checked["validation"] = number(
                "validation", self.validation, "None or in (0, 1)", lambda share: 0 < share < 1
            )
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        one_of("noise_draw", self.noise_draw, *DRAWS)
        if self.augment is not None:
            one_of("augment", self.augment, *filter(None, AUGMENTATIONS))

    @property
    def one_hot(self) -> bool:
        return self.augment in MIXED

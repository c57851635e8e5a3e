"""How a run trains, and the bounds of its numbers."""

import dataclasses
import typing

from keras_zsharp import checks


def _number(bound, holds):
    return lambda name, value: checks.number(name, value, bound, holds)


def _int(least, most):
    def check(name, value):
        if not least <= checks.integer(name, value) <= most:
            bound = f"an int from {least} to {most}"
            raise ValueError(f"`{name}` must be {bound}. Received: {name}={value}")

    return check


COUNT, SEED = _int(1, int(checks.LARGEST)), _int(0, 2**32 - 1)
CHECKS = {
    "rho": _number(">= 0", lambda value: value >= 0),
    "q_p": _number("in [0, 1]", lambda value: 0 <= value <= 1),
    "epochs": COUNT,
    "batch_size": COUNT,
    "train_size": COUNT,
    "seed": SEED,
    "split_seed": SEED,
    "learning_rate": _number("> 0", lambda value: value > 0),
    "weight_decay": _number(">= 0", lambda value: value >= 0),
    "label_noise": _number("in [0, 1]", lambda value: 0 <= value <= 1),
    "validation": _number("in (0, 1)", lambda value: 0 < value < 1),
}
OPTIONAL = ("train_size", "validation", "split_seed")


def check(values):
    """Raises a `TypeError` or a `ValueError` where one of the values, by name, is out of bounds."""
    for name, value in values.items():
        if name in CHECKS and not (value is None and name in OPTIONAL):
            CHECKS[name](name, value)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a run trains, whatever perturbs it.

    Attributes:
        optimizer: "adamw"; or, with a weight decay that is part of the gradient, "adam", or "sgd"
            with momentum 0.9.
        schedule: "steps": the learning rate times 0.75 every 10 epochs; "warmup_steps": a rise from
            0 in the first 5 epochs, and times 0.75 every 30 epochs; "cosine": down to 0.
        validation: Share of the training data to hold out; `Method.choose` needs it.
        split_seed: Of the digits alone: the seed of their division into training and test data.
        clean_validation: Whether held-out labels are the dataset's, and not as noisy as the rest.

    The others are arguments of `keras_zsharp.data.load`, `fit` and the optimizer.
    """

    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    weight_decay: float
    schedule: str
    augment: str | None = "standard"
    label_noise: float = 0.0
    validation: float | None = None
    split_seed: int | None = None
    clean_validation: bool = False
    train_size: int | None = None
    noise_draw: str = "others"

    ADDED: typing.ClassVar = ("clean_validation", "train_size", "noise_draw")
    """Fields that a run's settings have only where they are not the default."""

    def __post_init__(self):
        check(vars(self))

    @property
    def settings(self):
        """Its part of a run's settings."""
        return {
            name: value
            for name, value in vars(self).items()
            if name not in self.ADDED or value != getattr(Recipe, name)
        }

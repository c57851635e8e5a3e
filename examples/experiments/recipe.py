"""How a run trains."""

import dataclasses
import typing

from experiments import numbers


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
        numbers.check(vars(self))

    @property
    def settings(self):
        """Its part of a run's settings."""
        return {
            name: value
            for name, value in vars(self).items()
            if name not in self.ADDED or value != getattr(Recipe, name)
        }

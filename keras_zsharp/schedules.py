"""Schedules of a rule's radius."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_zsharp.checks import number, radius
from keras_zsharp.typing import Config, Schedule, Tensor

__all__ = ["FollowLearningRate"]


@keras.saving.register_keras_serializable("keras_zsharp")
class FollowLearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """A radius that rises and falls with the learning rate.

    `rho_min + (rho - rho_min) lr(t) / lr_max`, clipped to the range from `rho_min` to `rho`.

    This is GSAM's schedule for a learning rate that falls to 0. A rule's steps are those of the
    optimizer, so radius and learning rate belong to the same step. With
    `gradient_accumulation_steps=k` Keras looks the learning rate up by batches: give this one a
    schedule that takes `1 / k` of the steps, since the radius is looked up by updates.

    Args:
        learning_rate: The optimizer's `LearningRateSchedule`.
        rho: Radius at the largest learning rate, >= 0.
        rho_min: Radius at a learning rate of 0, in [0, rho].
        learning_rate_max: The largest learning rate, > 0. None is the learning rate of step 0. A
            schedule with a warm-up needs it.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Example:

    >>> import keras_zsharp
    >>> decay = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=100)
    >>> rho = keras_zsharp.schedules.FollowLearningRate(decay, rho=0.05)
    >>> rule, optimizer = keras_zsharp.SAM(rho=rho), keras.optimizers.SGD(decay)
    >>> [round(float(rho(step)), 4) for step in (0, 50, 100)]
    [0.05, 0.025, 0.0]

    Reference:
        Zhuang et al., "Surrogate Gap Minimization Improves Sharpness-Aware Training", ICLR 2022,
        section 4.2.
    """

    def __init__(
        self,
        learning_rate: Schedule,
        rho: float = 0.05,
        rho_min: float = 0.0,
        learning_rate_max: float | None = None,
    ) -> None:
        if not isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            raise TypeError(
                "`learning_rate` must be a `keras.optimizers.schedules.LearningRateSchedule`. "
                f"Received: learning_rate={learning_rate!r} of type {type(learning_rate)}"
            )
        self.learning_rate, self.rho = learning_rate, radius(rho)
        bound = f"in [0, rho], and rho is {self.rho}"
        self.rho_min = number("rho_min", rho_min, bound, lambda least: 0 <= least <= self.rho)
        if learning_rate_max is None:
            first: Any = learning_rate(0)
            learning_rate_max = float(ops.convert_to_numpy(first))
        self.learning_rate_max = number(
            "learning_rate_max",
            learning_rate_max,
            "> 0, the largest learning rate of a schedule that starts at 0",
            lambda largest: largest > 0,
        )

    def __call__(self, step: int | Tensor) -> Tensor:
        """Computes the radius of a step.

        Args:
            step: The number of steps before it.

        Returns:
            A scalar tensor.
        """
        share = ops.cast(self.learning_rate(step), "float32") / self.learning_rate_max
        return self.rho_min + (self.rho - self.rho_min) * ops.clip(share, 0, 1)

    def get_config(self) -> Config:
        """The config of the schedule.

        Returns:
            A dict.
        """
        return {
            "learning_rate": keras.optimizers.schedules.serialize(self.learning_rate),
            "rho": self.rho,
            "rho_min": self.rho_min,
            "learning_rate_max": self.learning_rate_max,
        }

    @classmethod
    def from_config(cls, config: Config) -> FollowLearningRate:
        inner = config["learning_rate"]
        if isinstance(inner, dict):
            inner = keras.optimizers.schedules.deserialize(inner)
        return cls(**{**config, "learning_rate": inner})

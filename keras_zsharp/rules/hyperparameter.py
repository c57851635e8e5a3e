from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

import keras
from keras import ops

from keras_zsharp.ops import is_traced
from keras_zsharp.rules import steps
from keras_zsharp.typing import Config, FloatOrSchedule, Schedule, Tensor


class Hyperparameter:
    """A number of a rule. It may be set at any time, also while training, or follow a schedule.

    It is a class attribute, `rho = Hyperparameter(check)`, and the constructor assigns `self.rho`.
    The attribute of a rule reads as a float: with a schedule, as the value of the next step of the
    model that the rule belongs to, or of step 0 without a model. In a graph it reads as a tensor. A
    step computes with `tensor`: the number is a variable, so that setting it does not trace the
    graph anew.

    Args:
        check: Function from the assigned value to a float. It raises an error out of bounds.
        dtype: Dtype of the variable.
    """

    def __init__(self, check: Callable[[Any], float], dtype: str = "float32") -> None:
        self._check = check
        self._dtype = dtype

    def __set_name__(self, owner: type, name: str) -> None:
        self._name, self._stored = name, f"_{name}"

    @overload
    def __get__(self, rule: None, owner: type | None = None) -> Hyperparameter: ...

    @overload
    def __get__(self, rule: Any, owner: type | None = None) -> float | Any: ...

    def __get__(self, rule, owner=None):
        if rule is None:
            return self
        rule.sync()
        scheduled = isinstance(getattr(rule, self._stored), Schedule)
        try:
            tensor = self.tensor(rule, rule.steps_taken() if scheduled else None)
        except TypeError as empty:
            self._refuse_in_step(rule, empty)
            raise
        if is_traced(tensor):
            return tensor
        if rule.step_of_jax() == "compiled":
            self._refuse_in_step(rule)
        # The shortest decimal of a float32: 0.05 rather than 0.05000000074505806.
        return float(str(ops.convert_to_numpy(tensor)[()]))

    def __set__(self, rule: Any, value: FloatOrSchedule) -> None:
        rule.sync()
        rule.check_set(self._name)
        stored = getattr(rule, self._stored, None)
        if isinstance(stored, Schedule):
            raise TypeError(
                f"`{self._name}` of this {type(rule).__name__} follows {type(stored).__name__} and "
                "cannot be assigned. Make the rule with a number to set it while training."
            )
        if stored is not None:
            stored.assign(self._check(value))
            rule.changed()
        elif isinstance(value, Schedule):
            setattr(rule, self._stored, value)
        else:
            number = self._check(value)
            setattr(rule, self._stored, rule.add_scalar(self._name, number, self._dtype))

    def _refuse_in_step(self, rule, empty=None):
        """Where the number is not of the state that a step of JAX gets, it is old or lost."""
        if rule.step_of_jax():
            raise RuntimeError(
                f"`{self._name}` cannot be read here in a step on JAX, which has not got it. Read "
                "it in a callback; a number that follows no schedule, in `call` or `compute_loss`"
            ) from empty

    def tensor(self, rule: Any, step: Tensor | None) -> Tensor:
        """A step's value as a scalar tensor, of float32 if it follows a schedule.

        Args:
            rule: The rule.
            step: The number of steps that the optimizer has taken. None will do for a number.

        Raises:
            ValueError: `step` is None, and there is a schedule.
        """
        stored = getattr(rule, self._stored)
        if isinstance(stored, Schedule):
            if step is None:
                raise ValueError(
                    f"{steps.NEEDED}: `{self._name}` of this {type(rule).__name__} follows "
                    f"{type(stored).__name__}. Received: step=None"
                )
            return ops.cast(stored(step), "float32")
        # `convert_to_tensor` takes a variable for a tensor.
        return ops.cast(stored, stored.dtype)

    def schedule(self, rule: Any) -> Schedule | None:
        """The schedule that the number of a rule follows, or None."""
        stored = getattr(rule, self._stored)
        return stored if isinstance(stored, Schedule) else None

    def to_config(self, rule: Any) -> float | Config:
        """A float, or a serialized schedule."""
        if stored := self.schedule(rule):
            return keras.optimizers.schedules.serialize(stored)
        return self.__get__(rule)

    @staticmethod
    def from_config(value: float | Config) -> FloatOrSchedule:
        """The number or the schedule of which `to_config` made `value`."""
        return keras.optimizers.schedules.deserialize(value) if isinstance(value, dict) else value

from __future__ import annotations

import weakref
from typing import Any

import keras

from keras_zsharp.rules import state
from keras_zsharp.rules.base import Rule
from keras_zsharp.typing import FloatOrSchedule, Variables


class Keeping(Rule):
    """Base class of the rules that keep a tensor for each variable.

    The tensors are the list `kept`. They start at zero and are saved with the model. They take the
    memory of one more copy of the weights.

    Args:
        rho: Perturbation radius, see `Rule`.
        name: Name of the rule.
    """

    kept_as, keeps = "average", "averages"
    """The name of such a tensor, which files have too, and the verb for error messages."""

    def __init__(self, rho: FloatOrSchedule, *, name: str | None = None) -> None:
        super().__init__(rho, name=name)
        self.kept: list[Any] = []
        self._kept_for: tuple[Any, ...] = ()

    def build(self, variables: Variables) -> None:
        if not self.kept:
            self.kept = [self._kept_of(v) for v in variables]
        expected = [tuple(kept.shape) for kept in self.kept]
        received = [tuple(variable.shape) for variable in variables]
        if expected != received:
            raise ValueError(
                f"`variables` must be those that this {type(self).__name__} {self.keeps}, of "
                f"shapes {expected}. Received: shapes {received}"
            )
        self._bind(variables)

    def _bind(self, variables):
        """Checks that no tensor gets another variable than before.

        A file does not know the variables: a loaded tensor belongs to the first that comes.
        """
        known = self._kept_for or (None,) * len(variables)
        others = [v.path for k, v in zip(known, variables, strict=True) if k and k() is not v]
        if others:
            raise ValueError(
                f"`variables` must be those that this {type(self).__name__} {self.keeps}. Make a "
                "new rule after layers have been frozen or unfrozen: "
                f"model.rule = {type(self).__name__}(...). Received: others, {others}"
            )
        self._kept_for = tuple(
            weakref.ref(v) if isinstance(v, keras.Variable) else None for v in variables
        )

    def _kept_of(self, variable):
        return self.add_weight(
            name=self.kept_as,
            shape=variable.shape,
            dtype=str(keras.backend.standardize_dtype(variable.dtype)),
            initializer="zeros",
            trainable=False,
            aggregation="mean",
        )

    def load_own_variables(self, store: Any) -> None:
        # The rule of a model that has not trained has no tensors yet: the file gives their shapes.
        if not self.kept:
            self.build(state.saved(self, state.opened(store))[len(self.variables) :])
        super().load_own_variables(store)

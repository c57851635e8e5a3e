from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from keras_zsharp.backend.scopes import carried_on
from keras_zsharp.backend.tensorflow.weight_scope import WeightScope
from keras_zsharp.keras_internals.scoping import assign_in_place, stored


@tf.custom_gradient
def _assigned(weight, value):
    """`value` with the gradient of `weight`: so a tape differentiates an assigned weight."""
    return tf.identity(value), lambda upstream: (upstream, None)


class PassScope(WeightScope):
    """Runs one pass with given weights. No variable changes until `commit`.

    Variables that a graph assigns in a loop are an exception: `rewind` restores them.

    Args:
        variables: The trainable variables.
        weights: Their values in the scope, one tensor each.
        after: The `PassScope` of an earlier pass. This one starts from its state and commits that.
    """

    def __init__(
        self, variables: Sequence[Any], weights: Iterable[Any], after: PassScope | None = None
    ) -> None:
        self._updates: dict[int, Any] = {}
        state = []
        if after is not None:
            self._updates.update(after._updates)
            state = carried_on(self._updates.values(), variables, after)
        super().__init__(variables, weights, state)
        self._graph = tf.compat.v1.get_default_graph()
        self._released: dict[int, Any] = {}

    def write(self, variable: Any, value: Any) -> None:
        is_weight = self.is_weight(variable)
        if self._in_loop():
            if is_weight:
                raise ValueError(
                    "A weight must not be assigned in a loop or branch of a graph: the training "
                    f"step could not keep it from changing. Received: {variable.path!r}"
                )
            self._release(variable)
            assign_in_place(variable, value)
            return
        if is_weight:
            # A layer that assigns its own weights, such as SpectralNormalization.
            value = _assigned(self.read(variable), value)
        super().write(variable, value)
        self._updates[id(variable)] = variable

    def read(self, variable: Any) -> Any:
        recorded = id(variable) in self._updates and not self.is_weight(variable)
        if recorded and self._in_loop():
            self._release(variable)
        return super().read(variable)

    def _in_loop(self):
        """Whether the body of a loop or branch is being traced. Its tensors are unknown outside."""
        return tf.compat.v1.get_default_graph() is not self._graph

    def _release(self, variable):
        """Lets a variable be assigned in place from here on.

        The seeds of dropout in a custom RNN cell are such variables: each round of the loop must
        find the state that the round before has left. `rewind` undoes it for the second pass.
        """
        if self._eager:
            raise ValueError(
                "A layer that assigns a variable must not do so in a `tf.function` of its own "
                "while the model runs eagerly: the second pass could not start from the same "
                f"value. Compile without `run_eagerly`. Received: {variable.path!r}"
            )
        with self._graph.as_default():
            self._released.setdefault(id(variable), (variable, stored(variable).read_value()))
            if self._updates.pop(id(variable), None) is not None:
                assign_in_place(variable, self.take_out(variable))

    def rewind(self) -> None:
        """Restores the variables that the pass assigned in place, before another pass."""
        for variable, value in self._released.values():
            variable.assign(value)

    def assigned(self) -> list[Any]:
        """The variables that the pass has assigned, and those before it."""
        return [*self._updates.values(), *(variable for variable, _ in self._released.values())]

    def commit(self, condition: Any = None) -> None:
        """Assigns the values that the pass gave to variables. Call it outside of the scope."""
        for variable in self._updates.values():
            assign_if(condition, variable, self.read(variable))


def assign_if(condition: Any, variable: Any, value: Any) -> None:
    """Assigns a value, unless the condition is a tensor that is false."""
    variable.assign(value if condition is None else tf.where(condition, value, variable))

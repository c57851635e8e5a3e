"""How Keras gives variables other values for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras
from keras.src.backend.common import global_state

from keras_zsharp.keras_internals import names
from keras_zsharp.typing import Tensor

names.check(keras.StatelessScope())


def assign_in_place(variable: Any, value: Tensor) -> None:
    """Assigns a value to the variable itself, also in a stateless scope."""
    variable._direct_assign(value)


def stored(variable: Any) -> Any:
    """The backend's own variable behind a Keras variable, also in a stateless scope."""
    return variable._value


def read_around_scope(variables: Iterable[Any], tape: Any) -> list[str]:
    """The paths of the variables that `tape` saw themselves, and not their values in a scope."""
    watched = {id(v) for v in tape.watched_variables()}
    return [v.path for v in variables if id(stored(v)) in watched]


class Scope(keras.StatelessScope):
    """A `keras.StatelessScope` whose subclasses may override how variables are read and written."""

    def get_current_value(self, variable: Any) -> Any:
        return self.read(variable)

    def add_update(self, update: tuple[Any, Tensor]) -> None:
        self.write(*update)

    def read(self, variable: Any) -> Any:
        """Reads a variable for Keras: its value in the scope, or None if it has none there."""
        return self.stands_for(variable)

    def stands_for(self, variable: Any) -> Any:
        """The value of a variable in the scope, or None. It does not count as read."""
        return self.state_mapping.get(id(variable))

    def write(self, variable: Any, value: Tensor) -> None:
        """Sets the value of a variable in the scope."""
        self.state_mapping[id(variable)] = value

    def take_out(self, variable: Any) -> Tensor:
        """Removes a variable from the scope, and returns the value that it had there."""
        return self.state_mapping.pop(id(variable))


def open_scope() -> Callable[[], None]:
    """Notes which `keras.StatelessScope` is open in this thread, and returns what puts it back.

    What was opened in it since then, and was not closed, is closed.
    """
    scope = global_state.get_global_attribute("stateless_scope")
    return lambda: global_state.set_global_attribute("stateless_scope", scope)

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from keras_zsharp.backend.scopes import carried_on
from keras_zsharp.keras_internals.scoping import Scope, stored


class PassScope(Scope):
    """Runs one pass with given weights. No variable changes until `commit`.

    Args:
        variables: The trainable variables.
        weights: Their values in the scope, one tensor each.
        after: The `PassScope` of an earlier pass. This one starts from its state and commits that.
    """

    def __init__(
        self, variables: Sequence[Any], weights: Iterable[Any], after: PassScope | None = None
    ) -> None:
        self._updates: dict[int, Any] = {}
        self.weights = [
            # As in plain Keras, a parameter with `requires_grad_(False)` gets no gradient.
            weight.detach().requires_grad_(stored(variable).requires_grad)
            for variable, weight in zip(variables, weights, strict=True)
        ]
        self._weight_ids = {id(v) for v in variables}
        state = []
        if after is not None:
            self._updates.update(after._updates)
            state = carried_on(self._updates.values(), variables, after)
        super().__init__(state, collect_losses=True)
        self.state_mapping.update(zip(map(id, variables), self.weights, strict=True))

    def write(self, variable: Any, value: Any) -> None:
        # In plain Keras, too, assigned values have no gradient.
        value = value.detach()
        if id(variable) in self._weight_ids:
            # The gradient of a weight that a layer assigns itself, as SpectralNormalization does.
            weight = self.read(variable)
            value = value + (weight - weight.detach())
        super().write(variable, value)
        self._updates[id(variable)] = variable

    def assigned(self) -> list[Any]:
        """The variables that the pass has assigned, and those before it."""
        return list(self._updates.values())

    def commit(self) -> None:
        """Assigns the values that the pass gave to variables. Call it outside of the scope."""
        for variable in self._updates.values():
            variable.assign(self.read(variable).detach())

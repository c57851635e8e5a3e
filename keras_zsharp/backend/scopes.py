"""Passes whose state is a scope, on the backends that keep values in variables."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from keras_zsharp import interrupts
from keras_zsharp.backend.passes import Check, Outcome
from keras_zsharp.keras_internals import tracking
from keras_zsharp.keras_internals.scoping import Scope
from keras_zsharp.typing import Batch, Nested, Tensor


class PassesInScopes:
    """What `Passes` have in common on TensorFlow and PyTorch.

    A state is the scope of a pass, None before the first one. A backend adds the rest.

    Attributes:
        scope: The class of the scopes, of variables, their values and the scope before.
        values: As in `Passes`.
    """

    start, loops, cuts_shares, shares, cuts_at_run_time = None, False, False, 1, True
    scope: Any
    values: Callable[..., list[Tensor]]

    def __init__(self, model: Any, check: Check, *arguments: Any) -> None:
        del arguments
        self.model, self.variables, self._check = model, tracking.trained(model), check

    def weights(self, state: Any) -> list[Tensor]:
        return self.values(self.variables, state)

    def before(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext()

    def at(self, weights: Sequence[Tensor]) -> contextlib.AbstractContextManager[Any]:
        return self.scope(self.variables, weights)

    def instantiated(self, gradients: Any) -> Any:
        return gradients

    def assigned(self, state: Any) -> list[Any]:
        return state.assigned()

    def assigned_values(self, state: Any, clean: Any) -> list[Tensor]:
        known = set(map(id, clean.assigned()))
        only_here = [v.path for v in state.assigned() if id(v) not in known]
        if only_here:
            raise ValueError(
                "A layer must assign the same variables in both passes where `ascent_fraction` is "
                "below 1. "
                f"Received: {only_here} assigned in the pass over the whole batch alone"
            )
        values = [(v, state.stands_for(v)) for v in self._state_of(clean)]
        return [self.values([v])[0] if value is None else value for v, value in values]

    def with_assigned(self, clean: Any, values: Sequence[Tensor]) -> Any:
        for variable, value in zip(self._state_of(clean), values, strict=True):
            clean.write(variable, value)
        return clean

    def _state_of(self, clean):
        # Metrics show the clean pass.
        left = set(map(id, [*self.variables, *self.model.metrics_variables]))
        assigned = [v for v in clean.assigned() if id(v) not in left]
        return [v for v in assigned if clean.stands_for(v) is not None]

    def writing(self, kept: Any) -> contextlib.AbstractContextManager[Any]:
        return interrupts.held_back()

    def on_devices(
        self, take: Any, batch: Batch, are_cut: Nested, perturbing: bool | Tensor
    ) -> tuple[Any, Outcome]:
        del are_cut  # A strategy has cut the batch, or each process has one of its own.
        return take(self, batch, perturbing)


def carried_on(
    updates: Iterable[Any], variables: Sequence[Any], after: Scope
) -> list[tuple[Any, Tensor]]:
    """The state that a scope starts from: pairs of a variable and its value in the one before.

    Args:
        updates: The variables that have been assigned there.
        variables: The trainable variables, which have other values.
        after: The scope before.
    """
    weights = set(map(id, variables))
    return [(v, after.stands_for(v)) for v in updates if id(v) not in weights]

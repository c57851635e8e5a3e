"""The state that a step on JAX is a function of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import keras

from keras_zsharp.keras_internals import scoping, tracking


class State(NamedTuple):
    """The state that Keras' trainer passes to a step, and that a step returns: lists of arrays."""

    weights: list[Any]
    others: list[Any]
    optimizer: list[Any]
    metrics: list[Any]


@jax.tree_util.register_pytree_node_class
class Decided(tuple):
    """The state, and whether the step perturbs. JAX compiles one program for each answer."""

    perturbs: bool

    def __new__(cls, state: Any, perturbs: bool) -> Decided:
        decided = super().__new__(cls, state)
        decided.perturbs = perturbs
        return decided

    def tree_flatten(self) -> tuple[tuple[Any, ...], bool]:
        return tuple(self), self.perturbs

    @classmethod
    def tree_unflatten(cls, perturbs: bool, state: Any) -> Decided:
        return cls(state, perturbs)


def kinds(model: keras.Model) -> tuple[list[Any], ...]:
    """The variables whose values a `State` of the model has."""
    return (
        tracking.trained(model),
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def scope_of(model: keras.Model, state: State) -> scoping.Scope:
    """A scope in which all variables of the model have the values of a state."""
    return scoping.Scope(_pairs(model, state))


def check_complete(model: Any) -> None:
    """Checks that the rule's variables and the tracker's are in a `State` of the model.

    Raises:
        ValueError: One is not. A step would drop its new value without a word.
    """
    known = {id(v) for of_kind in kinds(model) for v in of_kind}
    needed = [v for metric in model.training_metrics for v in metric.variables]
    needed = [*model.rule.variables, *needed]
    missing = [v.path for v in needed if id(v) not in known]
    if missing:
        raise ValueError(
            "The variables of the rule, of `sharpness` and of `skipped` must be among "
            "`model.variables` and `model.metrics_variables`, which a class must not override "
            "without them. "
            f"Received: {model.name!r}, a {type(model).__name__}, without {missing}"
        )


def with_values(
    model: keras.Model, state: State, variables: Sequence[Any], values: Sequence[Any]
) -> State:
    """A state with new values for some of the variables that are not trained."""
    new = {id(v): value for v, value in zip(variables, values, strict=True)}
    pairs = zip(model.non_trainable_variables, state.others, strict=True)
    others = [new.pop(id(v), value) for v, value in pairs]
    if new:
        lost = [v.path for v in variables if id(v) in new]
        raise ValueError(f"The state of {model.name!r} must have all variables. It lacks {lost}")
    return state._replace(others=others)


def _pairs(model: keras.Model, state: State) -> Iterator[tuple[Any, Any]]:
    for of_kind, values in zip(kinds(model), state, strict=True):
        yield from zip(of_kind, values, strict=True)

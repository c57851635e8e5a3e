"""Gradients on JAX, with None where the loss does not depend on a weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def auxiliary_and_gradients(
    function: Callable[[list[Any]], tuple[jax.Array, Any]], weights: list[Any]
) -> tuple[Any, list[jax.Array | None]]:
    """The auxiliary output of a function of the weights, and the gradients of its scalar output.

    Args:
        function: Function from a list of arrays to a scalar and an auxiliary output.
        weights: List of arrays.

    Returns:
        The auxiliary output, and a list of arrays shaped like the weights. It has None for weights
        on which the scalar does not depend.
    """
    absent = [True] * len(weights)

    @jax.custom_vjp
    def watched(*weights):
        return weights

    def forward(*weights):
        return tuple(w.value for w in weights), None

    def backward(_, gradients):
        instantiated = []
        for i, gradient in enumerate(gradients):
            if isinstance(gradient, jax.custom_derivatives.SymbolicZero):
                instantiated.append(jnp.zeros(gradient.shape, str(gradient.dtype)))
            else:
                absent[i] = False
                instantiated.append(gradient)
        return tuple(instantiated)

    watched.defvjp(forward, backward, symbolic_zeros=True)
    value, pull_back, others = jax.vjp(
        lambda *weights: function(list(watched(*weights))), *weights, has_aux=True
    )
    gradients = pull_back(jnp.ones_like(value))
    return others, [None if none else g for none, g in zip(absent, gradients, strict=True)]

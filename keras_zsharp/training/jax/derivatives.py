"""Gradients on JAX, with None where there is none: the rules tell it from a gradient of zero."""

import jax
import jax.numpy as jnp


def value_and_gradients(function, weights):
    """What `function` of the weights gives beside its value, and the gradients of that.

    Args:
        function: Function from a list of arrays to a scalar and anything else.
        weights: List of arrays.

    Returns:
        That, and a list of arrays shaped like the weights, or None for those that the scalar does
        not depend on.
    """
    absent = [True] * len(weights)

    @jax.custom_vjp
    def watched(*weights):
        return weights

    def forward(*weights):
        return tuple(w.value for w in weights), None

    def backward(_, gradients):
        given = []
        for i, gradient in enumerate(gradients):
            if isinstance(gradient, jax.custom_derivatives.SymbolicZero):
                given.append(jnp.zeros(gradient.shape, gradient.dtype))
            else:
                absent[i] = False
                given.append(gradient)
        return tuple(given)

    watched.defvjp(forward, backward, symbolic_zeros=True)
    value, pull_back, others = jax.vjp(
        lambda *weights: function(list(watched(*weights))), *weights, has_aux=True
    )
    gradients = pull_back(jnp.ones_like(value))
    return others, [None if none else g for none, g in zip(absent, gradients, strict=True)]

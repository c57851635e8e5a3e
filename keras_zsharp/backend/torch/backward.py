"""The backward pass of Keras' step, for a pass whose weights are not the model's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import torch

from keras_zsharp.backend.torch.checks import in_this_thread, refuse_around
from keras_zsharp.backend.torch.torch_internals import has_hooks
from keras_zsharp.interrupts import PutBack
from keras_zsharp.keras_internals.scoping import stored


def zero_grad(
    model: keras.Model, weights: Sequence[torch.Tensor], variables: Sequence[Any]
) -> None:
    """Clears the gradients where Keras' step does so: between the predictions and the loss.

    Args:
        model: The model.
        weights: The values of the variables in the pass.
        variables: The trainable variables.

    Raises:
        ValueError: `model.zero_grad` leaves gradients, to which the pass would add its own.
    """
    model.zero_grad()
    for weight in weights:
        weight.grad = None
    left = [v.path for v in variables if stored(v).grad is not None]
    if left:
        raise ValueError(
            "`zero_grad` must set every `.grad` to None: both passes of a step would add to what "
            "is left. Override `compute_loss` for gradients of your own; build the model before "
            f"asking it for its `parameters()`. Received: the gradients of {left[:3]} left"
        )


def gradients(
    scaled_loss: torch.Tensor, weights: Sequence[torch.Tensor], variables: Sequence[Any]
) -> list[torch.Tensor | None]:
    """Goes backward as Keras' step does, and returns the gradients that are in `.grad` then.

    The weights of the pass are leaves of their own. So what reads a variable around them shows.
    Their gradients then go through a backward pass of the variables' parameters: hooks of these run
    as in plain Keras, and what they leave in `.grad` counts. Call it in the scope of the pass: what
    is computed again, and hooks, find the weights and the state of the pass.

    Args:
        scaled_loss: The loss with the loss scale.
        weights: The values of the variables in the pass.
        variables: The trainable variables.

    Raises:
        ValueError: The loss depends on a variable itself; a hook was put on a value of the pass.
    """
    parameters = [stored(variable) for variable in variables]
    with in_this_thread():
        scaled_loss.backward()
        refuse_around(variables, [parameter.grad for parameter in parameters])
        _refuse_hooks(variables, weights)
        reached = [i for i, weight in enumerate(weights) if weight.grad is not None]
        if reached:
            handed_on = [_taken(weights[i]) for i in reached]
            _HandOn.apply(handed_on, *[parameters[i] for i in reached]).backward()
    return [parameter.grad for parameter in parameters]


def put_back(variables: Sequence[Any], always: bool = True) -> PutBack:
    """Restores every `.grad` after the block, or else only if the block raises an error."""
    before = [stored(variable).grad for variable in variables]
    return PutBack(lambda: leave(variables, before), always)


def leave(variables: Sequence[Any], gradients: Sequence[torch.Tensor | None]) -> None:
    """Sets every `.grad`: plain Keras leaves there what the optimizer was given."""
    for variable, gradient in zip(variables, gradients, strict=True):
        stored(variable).grad = gradient


class _HandOn(torch.autograd.Function):
    """A scalar whose gradients with respect to the parameters are those in a list."""

    @staticmethod
    def forward(ctx, gradients, *parameters):
        del parameters
        ctx.gradients = gradients
        return torch.zeros(())

    @staticmethod
    def backward(ctx, _):
        # Kept nowhere else: PyTorch then puts these tensors into `.grad` without copying them.
        gradients, ctx.gradients = ctx.gradients, None
        return None, *gradients


def _taken(weight):
    gradient, weight.grad = weight.grad, None
    return gradient


def _refuse_hooks(variables, weights):
    hooked = [v.path for v, weight in zip(variables, weights, strict=True) if has_hooks(weight)]
    if hooked:
        raise ValueError(
            "Hooks of weights must be registered outside of `call` and of the loss, for instance "
            "in `build`: the value of a weight there is that of one pass alone. "
            f"Received: hooks on {hooked}"
        )

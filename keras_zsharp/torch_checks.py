"""Checks that the weights of a pass reach the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import torch

from keras_zsharp.keras_internals import flat_layers, stored

_AROUND = (
    "A layer or loss must read its weights as Keras variables: the pass at w + e(w) gives these "
    "other values. Build it of Keras layers and `keras.ops`. Received: {}"
)


def check_modules(model: keras.Model) -> None:
    """Refuses PyTorch modules: their parameters and buffers are no Keras variables."""
    kind = keras.layers.TorchModuleWrapper
    wrapped = [layer.path for layer in flat_layers(model) if isinstance(layer, kind)]
    if wrapped:
        raise ValueError(_AROUND.format(f"`TorchModuleWrapper` {wrapped}"))


def check_read_in_scope(
    scaled_loss: torch.Tensor,
    weights: Sequence[torch.Tensor],
    variables: Sequence[Any],
    create_graph: bool = False,
) -> list[torch.Tensor | None]:
    """The gradients of the loss, after checking that it depends on no variable itself.

    Args:
        scaled_loss: The loss with the loss scale.
        weights: The values of the variables in the scope.
        variables: The trainable variables.
        create_graph: Whether the gradients are to be differentiated, too.

    Raises:
        ValueError: The loss depends on a variable itself, and not on its value in the scope.
    """
    behind = [stored(variable) for variable in variables]
    found = torch.autograd.grad(
        scaled_loss, [*weights, *behind], allow_unused=True, create_graph=create_graph
    )
    gradients, around = found[: len(weights)], found[len(weights) :]
    names = [v.path for v, g in zip(variables, around, strict=True) if g is not None]
    if names:
        raise ValueError(_AROUND.format(f"such a layer or loss with the weights {names}"))
    return list(gradients)

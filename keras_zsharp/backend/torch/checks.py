"""Checks that the weights of a pass reach the loss."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import torch

from keras_zsharp.backend.torch.torch_internals import version_of
from keras_zsharp.keras_internals.scoping import stored
from keras_zsharp.keras_internals.tracking import flat_layers

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


def in_this_thread() -> contextlib.AbstractContextManager[Any]:
    """Makes backward passes run in this thread, also those on a GPU.

    Keras keeps the scope that is open by thread. A layer that is computed again would miss it.
    """
    return torch.autograd.set_multithreading_enabled(False)


def refuse_around(variables: Sequence[Any], gradients: Sequence[torch.Tensor | None]) -> None:
    """Refuses a loss that depends on variables themselves, not on their values in the scope.

    Args:
        variables: The trainable variables.
        gradients: The gradients with respect to the variables themselves.

    Raises:
        ValueError: There is a gradient.
    """
    names = [v.path for v, g in zip(variables, gradients, strict=True) if g is not None]
    if names:
        raise ValueError(_AROUND.format(f"such a layer or loss with the weights {names}"))


@contextlib.contextmanager
def refuse_in_place(
    variables: Sequence[Any], trained: Sequence[Any], weights: Sequence[torch.Tensor]
) -> Iterator[None]:
    """Encloses a pass that must not change the tensors of variables in place: both passes would.

    Args:
        variables: All variables of the model.
        trained: The trainable variables.
        weights: Their values in the pass.

    Raises:
        ValueError: A tensor has changed.
    """
    tensors = [*weights, *map(stored, variables)]
    before = list(map(version_of, tensors))
    yield
    after = list(map(version_of, tensors))
    if after != before:
        owners = zip((*trained, *variables), before, after, strict=True)
        changed = [v.path for v, old, new in owners if old != new]
        raise ValueError(
            "A layer or loss must assign its variables by `variable.assign(value)`, not change "
            "their tensors in place: both passes of a step would do so. "
            f"Received: {sorted(set(changed))} changed in place"
        )


def check_read_in_scope(
    scaled_loss: torch.Tensor,
    weights: Sequence[torch.Tensor],
    variables: Sequence[Any],
    create_graph: bool = False,
) -> list[torch.Tensor | None]:
    """The gradients of the loss, after checking that it depends on no variable itself.

    No hook of a parameter runs, and no `.grad` changes.

    Args:
        scaled_loss: The loss with the loss scale.
        weights: The values of the variables in the scope.
        variables: The trainable variables.
        create_graph: Whether the gradients are to be differentiated, too.

    Raises:
        ValueError: The loss depends on a variable itself, and not on its value in the scope.
    """
    behind = [stored(variable) for variable in variables]
    differentiable = [parameter for parameter in behind if parameter.requires_grad]
    found = torch.autograd.grad(
        scaled_loss, [*weights, *differentiable], allow_unused=True, create_graph=create_graph
    )
    around = iter(found[len(weights) :])
    refuse_around(variables, [next(around) if p.requires_grad else None for p in behind])
    return list(found[: len(weights)])

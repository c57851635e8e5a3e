from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def kinds(by: Callable[[str, str], Any]) -> list[tuple[type, Callable[..., Any]]]:
    return [(torch.Tensor, _of_tensor), (torch.Generator, by("get_state", "set_state"))]


def _of_tensor(tensor, gradients):
    if tensor.is_meta or tensor.layout != torch.strided:
        return lambda: None
    saved = tensor.detach().clone()
    accumulates = gradients and tensor.is_leaf and tensor.requires_grad
    gradient = tensor.grad.clone() if accumulates and tensor.grad is not None else None

    def restore():
        # `.data` changes the values of leaves, and without notice to graphs that are alive.
        if (tensor.shape, tensor.dtype, tensor.device) != (saved.shape, saved.dtype, saved.device):
            tensor.data = saved.clone()
        else:
            tensor.data.copy_(saved)
        if accumulates:
            tensor.grad = None if gradient is None else gradient.clone()

    return restore

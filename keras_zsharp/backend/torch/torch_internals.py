"""The private names of PyTorch that this library uses.

A new release of PyTorch may break this module, and no other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def has_hooks(tensor: Any) -> bool:
    """Whether a hook is registered on a tensor, of whatever kind a backward pass runs."""
    return bool(tensor._backward_hooks or getattr(tensor, "_post_accumulate_grad_hooks", None))


def version_of(tensor: Any) -> int:
    """How many times a tensor has been changed in place."""
    return tensor._version


def autograd_modes() -> Callable[[], None]:
    """Notes whether this thread records gradients, and where it goes backward.

    Returns:
        A function that puts both back.
    """
    recording, in_threads = torch.is_grad_enabled(), torch._C._is_multithreading_enabled()

    def put_back():
        torch.set_grad_enabled(recording)
        torch.autograd.set_multithreading_enabled(in_threads)

    return put_back

"""The private names of PyTorch that this library uses.

A new release of PyTorch may break this module, and no other.
"""

from __future__ import annotations

from typing import Any


def has_hooks(tensor: Any) -> bool:
    """Whether a hook is registered on a tensor, of whatever kind a backward pass runs."""
    return bool(tensor._backward_hooks or getattr(tensor, "_post_accumulate_grad_hooks", None))

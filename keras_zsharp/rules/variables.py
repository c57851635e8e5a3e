"""Kinds of variables."""

from __future__ import annotations

from typing import Any


def is_bias(variable: Any) -> bool:
    """Whether a variable is a bias: Keras names it `bias` or `beta`.

    A bias may have any rank: attention's has a row for every head, a GRU's has two rows.
    """
    return getattr(variable, "name", None) in ("bias", "beta")


def rank(variable: Any) -> int:
    """The rank of a variable. A bias is a vector, also where attention has a row for every head."""
    rank = len(variable.shape)
    return min(rank, 1) if is_bias(variable) else rank

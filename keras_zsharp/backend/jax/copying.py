from __future__ import annotations

from typing import Any


def kinds(by: Any) -> list[Any]:
    del by  # Arrays of JAX do not change.
    return []

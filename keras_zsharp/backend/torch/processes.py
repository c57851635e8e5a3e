"""Several processes of `torch.distributed`, in which Keras trains a model together from 3.16 on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import keras
import torch


def check_distribution() -> None:
    """Refuses a distribution that shares the weights out: a pass needs whole ones.

    Raises:
        ValueError: `keras.distribution.distribution()` is no `DataParallel`.
    """
    distribution = keras.distribution.distribution()
    if not isinstance(distribution, keras.distribution.DataParallel | None):
        raise ValueError(
            "`keras.distribution.distribution()` must be None or a `DataParallel` on PyTorch. "
            "Train under another one on JAX. "
            f"Received: distribution={distribution!r}"
        )


def all_find(model: Any, finite: torch.Tensor) -> torch.Tensor:
    """Whether all processes that train a model together find it finite: they skip a step together.

    Args:
        model: A sharpness-aware model.
        finite: What this process has found, a boolean scalar.

    Returns:
        A boolean scalar.
    """
    wrapped = getattr(model, "ddp_model", None)
    if wrapped is None:
        return finite
    least = finite.to(torch.int32)
    torch.distributed.all_reduce(
        least, op=torch.distributed.ReduceOp.MIN, group=wrapped.process_group
    )
    return least.bool()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Lets Keras find no other processes in this thread: it would wait for them to train, too."""
    together, here = torch.distributed, threading.get_ident()
    if not together.is_available():
        yield
        return
    original: Any = together.is_initialized
    together.is_initialized = lambda: threading.get_ident() != here and original()
    try:
        yield
    finally:
        together.is_initialized = original

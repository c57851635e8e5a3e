"""PyTorch's own generators, from which layers without a seed draw."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch


@contextlib.contextmanager
def same_noise() -> Iterator[Callable[[], contextlib.AbstractContextManager[None]]]:
    """Encloses a pass, and yields a context in which another pass draws the same noise."""
    before = state()

    @contextlib.contextmanager
    def rewound():
        with put_back():
            restore(before)
            yield

    yield rewound


@contextlib.contextmanager
def put_back() -> Iterator[None]:
    """Restores the generators after the block."""
    before = state()
    try:
        yield
    finally:
        restore(before)


def state() -> list[torch.Tensor]:
    """The states of the generators of the CPU and of every GPU."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return [torch.get_rng_state(), *gpus]


def restore(states: Sequence[torch.Tensor]) -> None:
    """Sets the states that `state` has returned."""
    cpu, *gpus = states
    torch.set_rng_state(cpu)
    if gpus:
        torch.cuda.set_rng_state_all(gpus)


def restore_arrays(states: Sequence[np.ndarray]) -> None:
    """`restore` from arrays, as a file has them. Those of GPUs that are not here are ignored."""
    here = 1 + (torch.cuda.device_count() if torch.cuda.is_available() else 0)
    restore([torch.as_tensor(np.array(each, "uint8")) for each in states[:here]])

"""PyTorch's generators, which layers without a seed of their own draw from."""

import contextlib

import numpy as np
import torch


@contextlib.contextmanager
def same_noise():
    """Around a pass; gives a context in which another pass draws what this one does."""
    before = state()

    @contextlib.contextmanager
    def rewound():
        with put_back():
            restore(before)
            yield

    yield rewound


@contextlib.contextmanager
def put_back():
    """Whatever is drawn inside is as if it had not been."""
    before = state()
    try:
        yield
    finally:
        restore(before)


def state():
    """The state of the generators of the CPU and of every GPU."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return [torch.get_rng_state(), *gpus]


def restore(states):
    cpu, *gpus = states
    torch.set_rng_state(cpu)
    if gpus:
        torch.cuda.set_rng_state_all(gpus)


def restore_arrays(states):
    """`restore`, of arrays as a file holds them: those of GPUs that are not here are left out."""
    here = 1 + (torch.cuda.device_count() if torch.cuda.is_available() else 0)
    restore([torch.as_tensor(np.array(each, "uint8")) for each in states[:here]])

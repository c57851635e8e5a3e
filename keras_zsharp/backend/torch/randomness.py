"""PyTorch's own generators, from which layers without a seed draw."""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from keras_zsharp.interrupts import PutBack


def rewound(before: Mapping[str, torch.Tensor]) -> PutBack:
    """Encloses a pass that draws what a pass drew after `before`. Afterwards all is as it is now.

    Args:
        before: What `state` returned.
    """
    now = state()
    restore(before)
    return PutBack(lambda: restore(now))


def put_back(always: bool = True) -> PutBack:
    """Restores the generators after the block, or else only if the block raises an error."""
    before = state()
    return PutBack(lambda: restore(before), always, before)


def state() -> dict[str, torch.Tensor]:
    """The states of the generators of the CPU, "0", and of every device that is here.

    Those of CUDA are "1", "2" and so on, as they were in files before there were other devices.
    Others are named after the device: "mps_0".
    """
    return {name: get() for name, (get, _) in _generators().items()}


def restore(states: Mapping[str, Any]) -> None:
    """Sets the states that `state` has returned. Those of devices that are not here are ignored.

    Args:
        states: Tensors by name, or arrays as a file has them.
    """
    for name, (_, put) in _generators().items():
        if name in states:
            value = states[name]
            put(value if torch.is_tensor(value) else torch.as_tensor(np.array(value, "uint8")))


@functools.cache
def _generators():
    """Functions that get and set the state of each generator, by name."""
    generators: dict[str, Any] = {"0": (torch.get_rng_state, torch.set_rng_state)}
    for kind in _kinds():
        module = getattr(torch, kind)
        count = _count(kind, module)
        for i in range(count):
            # There is no device to choose on Apple silicon.
            device = (i,) if count > 1 else ()
            get = functools.partial(module.get_rng_state, *device)
            generators[str(1 + i) if kind == "cuda" else f"{kind}_{i}"] = (
                get,
                lambda state, put=module.set_rng_state, device=device: put(state, *device),
            )
    return generators


def _kinds():
    """The kinds of devices that have generators: "cuda", "mps", "xpu", and what extends PyTorch."""
    needed = "get_rng_state", "set_rng_state", "device_count"
    modules = {n: each for n, each in vars(torch).items() if isinstance(each, types.ModuleType)}
    return [n for n, each in modules.items() if all(name in vars(each) for name in needed)]


def _count(kind, module):
    askable = module, getattr(torch.backends, kind, None)
    available = any(each.is_available() for each in askable if hasattr(each, "is_available"))
    return max(module.device_count(), int(available))

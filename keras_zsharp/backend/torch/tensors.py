from __future__ import annotations

from typing import Any

import keras
import numpy as np
import torch

as_written = torch.no_grad()


def is_traced(x: Any) -> bool:
    return not hasattr(x, "numpy")


def is_sparse(x: Any) -> bool:
    # An array of NumPy has no layout, and compiled code would ask it.
    return isinstance(x, torch.Tensor) and "sparse" in str(x.layout)


def with_length(x: Any, length: Any, message: str) -> Any:
    del length, message  # Every length is known.
    return x


def of_the_device(dtype: str) -> str:
    if dtype == "float64":
        try:
            keras.ops.add(keras.ops.ones((), dtype), 1)
        except (AssertionError, RuntimeError, TypeError):
            return "float32"
    return dtype


def bitcast(x: Any, dtype: str) -> Any:
    return x.contiguous().view(getattr(torch, dtype))


def sum_true(x: Any) -> Any:
    return torch.sum(x, dim=-1, dtype=torch.int8)


def selected(x: Any, k: Any) -> Any:
    size = x.shape[1]
    if x.device.type == "cpu":
        rows = zip(x.detach().numpy(), k.tolist(), strict=True)
        found = [np.partition(row, size - i)[size - i] for row, i in rows]
        return torch.as_tensor(np.array(found))
    rows = zip(x, k.tolist(), strict=True)
    return torch.stack([torch.kthvalue(row, size - i + 1).values for row, i in rows])

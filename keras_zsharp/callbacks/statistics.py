"""BatchNormalization's moving statistics, estimated again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_zsharp import outside
from keras_zsharp.flatness.batches import Batches, unpacked
from keras_zsharp.keras_internals import calling, scoping, tracking
from keras_zsharp.ops import as_written

STATISTICS = ("moving_mean", "moving_variance")


class _Statistics(scoping.Scope):
    """Collects what a pass writes to moving statistics: a shared layer writes more than once."""

    def __init__(self, variables: Sequence[Any], seeds: Sequence[tuple[Any, Any]]) -> None:
        # A statistic that is not finite would stay so, also with a momentum of 0.
        super().__init__([*seeds, *((v, keras.ops.zeros(v.shape, v.dtype)) for v in variables)])
        self.written: dict[int, list[Any]] = {id(v): [] for v in variables}

    def write(self, variable: Any, value: Any) -> None:
        if id(variable) in self.written:
            self.written[id(variable)].append(keras.ops.convert_to_numpy(value).astype("float64"))
        super().write(variable, value)


@as_written
def estimate(model: Any, normalizing: list[Any], data: Batches) -> None:
    """Sets the moving statistics to the means of those of the batches, weighted by their sizes.

    The noise of each batch is another one, and that of the next `fit` as without.
    """
    variables = [getattr(layer, name) for layer in normalizing for name in STATISTICS]
    momenta, seeds = [layer.momentum for layer in normalizing], tracking.seeds(model)
    totals, examples, noise = [0.0] * len(variables), [0] * len(variables), []
    try:
        for layer in normalizing:
            layer.momentum = 0.0  # The moving statistics are then those of the batch.
        for leaves in data:
            x, *_ = unpacked(data.structure, leaves)
            x = keras.tree.map_structure(keras.ops.convert_to_tensor, x)
            # What the pass assigns stays in the scope.
            with outside.put_back(model), _Statistics(variables, noise) as scope:
                calling.forward(model, x, training=True)
            noise = [(seed, scope.read(seed)) for seed in seeds]
            noise = [(seed, value) for seed, value in noise if value is not None]
            for i, variable in enumerate(variables):
                if written := scope.written[id(variable)]:
                    size = leaves[0].shape[0]
                    totals[i] = totals[i] + size * np.mean(written, axis=0)
                    examples[i] += size
    finally:
        for layer, momentum in zip(normalizing, momenta, strict=True):
            layer.momentum = momentum
    if not any(examples):
        raise ValueError("`data` must hold at least one example. Received: none")
    for variable, total, of in zip(variables, totals, examples, strict=True):
        if of:
            variable.assign(keras.ops.cast(total / of, variable.dtype))

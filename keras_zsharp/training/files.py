"""Saving and loading a sharpness-aware model. A file is loaded as a whole or not at all."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import keras

from keras_zsharp.keras_internals import tracking
from keras_zsharp.typing import Path


def warn_of_hdf5(model: keras.Model, filepath: Path) -> None:
    """Warns of HDF5: files of Keras 2 have no place for a rule's state."""
    if str(filepath).endswith((".h5", ".hdf5")):
        warnings.warn(
            f"HDF5 keeps no state of {type(model.rule).__name__}, nor of random seeds: "
            "averages and schedules start anew when it is loaded. Save as `.keras`.",
            stacklevel=3,
        )


@contextlib.contextmanager
def whole_or_not(model: keras.Model, filepath: Path) -> Iterator[None]:
    """Encloses loading weights. After an error, all variables have the values of before."""
    if model.built:
        # The rule's variables must exist to be restored. An error here comes again in training.
        with contextlib.suppress(ValueError):
            model.rule.build(tracking.trained(model))
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer else ())]
    before = [keras.ops.convert_to_numpy(v) for v in variables]
    try:
        yield
    except BaseException as error:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        if not isinstance(error, ValueError | KeyError):
            raise
        raise ValueError(
            f"Nothing has been loaded into {model.name!r}. `filepath` must be a `.weights.h5` of "
            "the same network, plain, in a wrapper or sharpness-aware in place, with any rule. "
            "Load a `.keras` or `.h5` into the kind of model that saved it: a plain network's into "
            f"keras_zsharp.plain(model). Received: filepath={str(filepath)!r}. {error}"
        ) from error

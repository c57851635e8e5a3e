"""What files of a sharpness-aware model hold, and that nothing of them is half loaded."""

import contextlib
import warnings

import keras

from keras_zsharp import keras_internals


def warn_of_hdf5(model, filepath):
    """Files of Keras 2 have no place for what a rule remembers."""
    if str(filepath).endswith((".h5", ".hdf5")):
        warnings.warn(
            f"HDF5 keeps no state of {type(model.perturbation).__name__}, nor of random seeds: "
            "averages and schedules start anew when it is loaded. Save as `.keras`.",
            stacklevel=3,
        )


@contextlib.contextmanager
def whole_or_not(model, filepath):
    """Around loading weights: an error puts back what had been loaded, and says what fits."""
    if model.built:
        # Now, so that it can be put back. What a rule refuses here, it refuses when it trains.
        with contextlib.suppress(ValueError):
            model.perturbation.build(keras_internals.trained(model))
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
            "the same network, plain, in a wrapper or sharpness-aware in place, by whatever rule; "
            "`.keras` and `.h5` belong into what saved them: a plain network's into "
            f"keras_zsharp.plain(model). Received: filepath={str(filepath)!r}. {error}"
        ) from error

"""The arguments of the measures. A name means the same in all measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import keras

from keras_zsharp.checks import count, flag, number, one_of, positive_int, radius


class Options(TypedDict, total=False):
    """Keyword arguments that all measures have."""

    seed: int
    batch_size: int
    batches: int | None
    verbose: int


def check_model(model: Any) -> None:
    """Checks that a loss can be measured of `model`."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` must be a keras.Model. Received: model={model!r}")
    if not model.compiled:
        raise ValueError(
            f"`model` must be compiled with a loss. Received: {model.name!r}, which is not compiled"
        )


def _verbose(verbose):
    return int(verbose) if isinstance(verbose, bool) else count("verbose", verbose)


def _by(by):
    return None if by is None else one_of("by", by, "layer", or_else=" or None")


def _sigma(sigma):
    return None if sigma is None else number("sigma", sigma, "> 0 or None", lambda each: each > 0)


def _directions(directions):
    if directions is None:
        return None
    kinds = [type(each) for each in directions] if isinstance(directions, tuple | list) else []
    if kinds not in ([list, list], [tuple, tuple]):
        raise TypeError(
            "`directions` must be None or two lists of arrays. "
            f"Received: directions of type {type(directions)}, of {kinds}"
        )
    return directions


CHECKS: dict[str, Callable[[Any], Any]] = {
    "rho": radius,
    "steps": lambda steps: count("steps", steps),
    "random": lambda random: count("random", random),
    "k": lambda k: positive_int("k", k),
    "which": lambda which: one_of("which", which, "LA", "SA", "LM"),
    "tol": lambda tol: number("tol", tol, "> 0", lambda tol: tol > 0),
    "restarts": lambda restarts: positive_int("restarts", restarts),
    "samples": lambda samples: positive_int("samples", samples),
    "lanczos_steps": lambda steps: positive_int("lanczos_steps", steps),
    "sigma": _sigma,
    "by": _by,
    "extent": lambda extent: number("extent", extent, "> 0", lambda extent: extent > 0),
    "points": lambda points: count("points", points, least=2),
    "seed": lambda seed: count("seed", seed),
    "batch_size": lambda size: positive_int("batch_size", size),
    "verbose": _verbose,
    "eigenvectors": lambda eigenvectors: flag("eigenvectors", eigenvectors),
    "directions": _directions,
    "batches": lambda batches: None if batches is None else positive_int("batches", batches),
}


def checked(**arguments: Any) -> list[Any]:
    """The checked values of the arguments, in their order."""
    return [CHECKS[name](value) for name, value in arguments.items()]

"""A model class may override `train_step` or `fit` only if it still takes the two-pass step."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras

from keras_zsharp.keras_internals import optimizers

OURS = "keras_zsharp."


def check_bases(cls: type, mixin: type) -> None:
    """Checks that the mixin comes before `keras.Model`, and hides no other `train_step`."""
    bases = cls.__mro__
    after = bases[bases.index(mixin) :]
    if keras.Model in bases and keras.Model not in after:
        raise TypeError(
            f"`{mixin.__name__}` must come before `keras.Model` in the bases of `{cls.__name__}`: "
            f"class {cls.__name__}({mixin.__name__}, keras.Model)"
        )
    hidden = [
        base.__name__
        for base in after
        if "train_step" in vars(base) and not base.__module__.startswith(("keras.", OURS))
    ]
    if hidden:
        raise TypeError(
            f"`{cls.__name__}` must not hide the `train_step` of `{hidden[0]}`, which would not be "
            f"called. Override `compute_loss` in `{hidden[0]}` instead, with the loss that its "
            f"step computes, and `compute_metrics`. Received: bases {hidden}"
        )


def must_call_ours(cls: type, train_step: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps the `train_step` of `cls`: it raises an error if it does not call the two-pass step."""

    @functools.wraps(train_step)
    def checked(self, *args, **kwargs):
        self.__dict__["_took_two_passes"] = False
        logs = train_step(self, *args, **kwargs)
        if not self.__dict__["_took_two_passes"]:
            raise TypeError(
                f"`{cls.__name__}.train_step` must call `super().train_step(data)`, which takes "
                "the two-pass step: without it the model trains as if it were not sharpness-aware. "
                "Put a loss of your own into `compute_loss`."
            )
        return logs

    return checked


def must_train_by_ours(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a `fit` or `train_on_batch`: it raises an error if it trains without our step."""

    @functools.wraps(method)
    def checked(self, *args, **kwargs):
        with by_our_step(self, name):
            return method(self, *args, **kwargs)

    return checked


@contextlib.contextmanager
def by_our_step(model: keras.Model, name: str) -> Iterator[None]:
    """Encloses training: if the optimizer has taken steps, they must have been ours."""
    note_iterations(model)
    yield
    moved = _iterations(model) != model.__dict__["_noted_iterations"]
    if moved and not model.__dict__.get("_took_two_passes"):
        raise TypeError(
            f"`{type(model).__name__}.{name}` must train by `train_step`, which takes the two-pass "
            "step: it has trained as if the model were not sharpness-aware. Call "
            f"`super().{name}(...)`. Put a loss of your own into `compute_loss`."
        )


def note_iterations(model: keras.Model) -> None:
    """Notes the optimizer's iterations before a model trains and after it is loaded."""
    model.__dict__["_noted_iterations"] = _iterations(model)


def _iterations(model):
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or not optimizer.built:
        return 0
    return int(keras.ops.convert_to_numpy(optimizers.steps_taken(optimizer)))


def note_two_passes(model: keras.Model) -> None:
    """Notes that the two-pass step has been called."""
    model.__dict__["_took_two_passes"] = True

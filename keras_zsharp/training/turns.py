"""Which steps perturb, and which are plain steps of the optimizer."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from keras_zsharp.checks import rounded_up
from keras_zsharp.keras_internals import optimizers
from keras_zsharp.rules import steps
from keras_zsharp.training import of_fit
from keras_zsharp.typing import Schedule, Tensor


def settled(model: Any) -> bool | None:
    """Whether every step of a model perturbs, or none does. None if it depends on the step."""
    options, rule = model.step_options, model.rule.settled()
    each = options.perturb_every == 1 and not options.perturb_from
    return rule if each or rule is False else None


def by_tensors(rule: Any) -> bool:
    """Whether no code of a user's decides in which steps a rule perturbs: it may do what it likes.

    Args:
        rule: A rule.
    """
    schedules = [value for value in vars(rule).values() if isinstance(value, Schedule)]
    modules = {rule.perturbs.__module__, *(type(schedule).__module__ for schedule in schedules)}
    return {module.split(".")[0] for module in modules} <= {"keras", "keras_zsharp"}


def perturbs(model: Any, step: Tensor) -> Tensor:
    """Whether this step perturbs, a boolean scalar tensor.

    Args:
        model: A sharpness-aware model, of which it depends on the step.
        step: The number of steps that its optimizer has taken, a scalar.
    """
    options, conditions = model.step_options, [steps.at(step, model.rule.perturbs)]
    first = _first(model)
    if options.perturb_from:
        conditions.append(step >= first)
    if options.perturb_every > 1:
        conditions.append((step - first) % options.perturb_every == 0)
    return functools.reduce(ops.logical_and, conditions)


def _first(model):
    """The step of `perturb_from`."""
    if isinstance(model.perturb_from, int):
        return model.perturb_from
    if model.first_of_share is None:
        raise ValueError(
            "`perturb_from` must be a step, an int >= 0, outside of `fit`. A share is one of all "
            "steps of a `fit`, and must be there when it begins. "
            f"Received: perturb_from={model.perturb_from}"
        )
    return model.first_of_share


def first_of_share(model: Any) -> int | None:
    """The step from which a share in `perturb_from` perturbs. None where there is no share.

    Args:
        model: A sharpness-aware model.
    """
    steps_of_fit = model.__dict__.get(OF_FIT)
    if steps_of_fit is None or isinstance(model.perturb_from, int):
        return None
    before, total = steps_of_fit
    return rounded_up(before + model.perturb_from * total)


OF_FIT = "_steps_of_fit"
"""The attribute in which a model that trains has the steps before its `fit`, and those of it."""


@contextlib.contextmanager
def counted(model: Any, fit: Any, args: Any, kwargs: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Encloses a `fit`. Yields its arguments, with a callback if `perturb_from` is a share.

    Args:
        model: A sharpness-aware model.
        fit: The method.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
    """
    if isinstance(model.perturb_from, int):
        yield args, kwargs
        return
    outer = model.__dict__.pop(OF_FIT, None)
    try:
        if isinstance(of_fit.callbacks(fit, args, kwargs), keras.callbacks.CallbackList):
            raise TypeError(
                "`callbacks` must be a list of callbacks where `perturb_from` is a share: a "
                "`CallbackList` does not know the steps of `fit`. Received: callbacks of type "
                f"{keras.callbacks.CallbackList}"
            )
        yield of_fit.with_callback(_Steps(), fit, args, kwargs)
    finally:
        model.__dict__[OF_FIT] = outer
        if model.train_function is not None:
            model.make_train_function()


class _Steps(keras.callbacks.Callback):
    """Counts the steps of a `fit`, and those that the optimizer has taken before it.

    Of these, the epochs are no part that an `initial_epoch` or a backup leaves out.
    """

    def set_params(self, params):
        super().set_params(params)
        if not params.get("steps"):
            raise ValueError(
                "`perturb_from` must be a step, an int >= 0, where `fit` cannot know the number of "
                "batches of an epoch: pass `steps_per_epoch` for a share. "
                f"Received: perturb_from={self.model.perturb_from}"
            )

    def on_epoch_begin(self, epoch, logs=None):
        model: Any = self.model
        if model.__dict__.get(OF_FIT) is not None:
            return
        each = self.params["steps"] / optimizers.accumulates(model.optimizer)
        before = int(ops.convert_to_numpy(optimizers.steps_taken(model.optimizer))) - epoch * each
        model.__dict__[OF_FIT] = before, self.params["epochs"] * each
        model.make_train_function()

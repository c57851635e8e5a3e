"""Which steps perturb, and which are plain steps of the optimizer."""

from __future__ import annotations

import functools
import inspect
import math
from typing import Any

import keras
from keras import ops

from keras_zsharp.keras_internals import optimizers
from keras_zsharp.rules import steps
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


def of_fit(model: Any, args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of `fit`, with a callback for a `perturb_from` that is a share.

    Args:
        model: A sharpness-aware model.
        args: The positional arguments.
        kwargs: The keyword arguments.
    """
    if not isinstance(model.perturb_from, float):
        return args, kwargs
    bound = inspect.signature(keras.Model.fit).bind(model, *args, **kwargs)
    share = _Share(bound.arguments.get("initial_epoch", 0))
    callbacks: Any = bound.arguments.get("callbacks")
    if isinstance(callbacks, keras.callbacks.CallbackList):
        share.set_model(model)
        share.set_params(callbacks.params)
    else:
        bound.arguments["callbacks"] = [share, *keras.tree.flatten(callbacks or [])]
    return bound.args[1:], bound.kwargs


class _Share(keras.callbacks.Callback):
    """Finds the step of a share, before `fit` makes the training program.

    Those steps count that the optimizer has taken before this `fit`, but for the epochs that an
    `initial_epoch` leaves out: these belong to it.
    """

    def __init__(self, initial_epoch):
        super().__init__()
        self._initial_epoch = initial_epoch

    def set_params(self, params):
        super().set_params(params)
        model: Any = self.model
        batches = (params or {}).get("steps")
        if not batches:
            raise ValueError(
                "`perturb_from` must be a step, an int >= 0, where `fit` cannot know the number of "
                "batches of an epoch: pass `steps_per_epoch` for a share. "
                f"Received: perturb_from={model.perturb_from}"
            )
        each = batches / optimizers.accumulates(model.optimizer)
        before = int(optimizers.steps_taken(model.optimizer)) - self._initial_epoch * each
        share = model.perturb_from * params["epochs"] * each
        model.__dict__["_first_of_share"] = math.ceil(before + share - 1e-6)

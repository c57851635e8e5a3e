"""Which steps perturb, and which are plain steps of the optimizer."""

from __future__ import annotations

import functools
from typing import Any

from keras import ops

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
    if options.perturb_from:
        conditions.append(step >= options.perturb_from)
    if options.perturb_every > 1:
        conditions.append((step - options.perturb_from) % options.perturb_every == 0)
    return functools.reduce(ops.logical_and, conditions)

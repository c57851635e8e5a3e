"""Which steps perturb, and which are plain steps of the optimizer."""

from __future__ import annotations

import functools
from typing import Any

from keras import ops

from keras_zsharp.perturbations import steps
from keras_zsharp.typing import Tensor


def always_perturbs(model: Any) -> bool:
    """Whether every step of a model perturbs, with its present options and rule."""
    options = model.step_options
    return options.perturb_every == 1 and not options.perturb_from and model.perturbation.settled()


def perturbs(model: Any, step: Tensor) -> bool | Tensor:
    """Whether this step perturbs: True if all do, or a boolean scalar tensor.

    Args:
        model: A sharpness-aware model.
        step: The number of steps that its optimizer has taken, a scalar.
    """
    if model.step_is_always_perturbed:
        return True
    options, conditions = model.step_options, [steps.at(step, model.perturbation.perturbs)]
    if options.perturb_from:
        conditions.append(step >= options.perturb_from)
    if options.perturb_every > 1:
        conditions.append((step - options.perturb_from) % options.perturb_every == 0)
    return functools.reduce(ops.logical_and, conditions)

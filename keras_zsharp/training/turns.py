"""Which steps perturb, and which are plain steps of the optimizer."""

import functools

from keras import ops


def always_perturbs(model):
    """Whether every step of a model does, as its settings and its rule are now."""
    options = model.step_options
    return options.perturb_every == 1 and not options.perturb_from and model.perturbation.settled()


def perturbs(model, iterations):
    """Whether this step does: True where all do, or a boolean scalar tensor.

    Args:
        model: A sharpness-aware model.
        iterations: The steps that its optimizer has taken: a scalar.
    """
    if model.step_is_always_perturbed:
        return True
    options, conditions = model.step_options, [model.perturbation.perturbs()]
    if options.perturb_from:
        conditions.append(iterations >= options.perturb_from)
    if options.perturb_every > 1:
        conditions.append((iterations - options.perturb_from) % options.perturb_every == 0)
    return functools.reduce(ops.logical_and, conditions)

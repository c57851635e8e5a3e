"""The gradients that the rule and the optimizer get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_zsharp.keras_internals import Scope, is_overwritten
from keras_zsharp.perturbations import Perturbation, steps
from keras_zsharp.perturbations.operators import each
from keras_zsharp.typing import FloatTensor, Gradients, Tensor


def unscaled(gradients: Gradients, scale: FloatTensor) -> Gradients:
    """The gradients of the loss itself: a rule's average must not depend on the loss scale.

    Args:
        gradients: Dense gradients of the scaled loss, or None.
        scale: The factor of the loss.
    """
    if isinstance(scale, float) and scale == 1.0:
        return gradients
    return each(lambda g: g / ops.cast(scale, g.dtype), gradients)


def descent(
    rule: Perturbation,
    step: Tensor,
    passes: tuple[Gradients, Gradients],
    variables: list[Any],
    rule_state: list[Tensor],
    perturbing: bool | Tensor,
    either: Callable[..., Any],
    prepare: Callable[[Gradients], Gradients] = list,
) -> tuple[list[Any], list[Tensor]]:
    """The gradients for the optimizer, with its loss scale, and the rule's state after that.

    For float8 scales the optimizer gets the gradients at w.

    Args:
        rule: The rule, which may change the gradients by its `descent`.
        step: The number of steps that the optimizer has taken.
        passes: Gradients at w and at w + e(w). In a plain step both are those at w.
        variables: The trainable variables.
        rule_state: The values of the rule's variables so far.
        perturbing: Whether the step perturbs: a bool, or a boolean scalar tensor.
        either: Function that takes `perturbing` and two functions, and calls one of them.
        prepare: Function from gradients to the dense ones that the rule gets.
    """
    result = passes[1]
    if _changes_descent(rule):
        at_w, shifted = map(prepare, passes)

        def by(method, *given):
            with Scope(list(zip(rule.variables, rule_state, strict=True))) as scope:
                found = steps.at(step, method, *given)
            return found, [scope.read(v) for v in rule.variables]

        result, rule_state = either(
            perturbing,
            lambda: by(rule.descent, at_w, shifted),
            lambda: by(rule.plain_descent, at_w),
        )
    result = [
        first if is_overwritten(v) else second
        for v, first, second in zip(variables, passes[0], result, strict=True)
    ]
    return result, rule_state


def _changes_descent(rule):
    changed, plain = type(rule), Perturbation
    return changed.descent is not plain.descent or changed.plain_descent is not plain.plain_descent

"""The gradients that the optimizer gets."""

from __future__ import annotations

from typing import Any

from keras_zsharp.backend.passes import Passes
from keras_zsharp.keras_internals.optimizers import is_overwritten
from keras_zsharp.keras_internals.scoping import Scope
from keras_zsharp.rules import Rule, steps
from keras_zsharp.typing import Gradients, Tensor


def descended(
    passes: Passes,
    step: Tensor,
    both: tuple[Gradients, Gradients],
    rule_state: list[Tensor],
    perturbing: bool | Tensor,
) -> tuple[list[Any], list[Tensor]]:
    """The gradients for the optimizer, with its loss scale, and the rule's state after that.

    For float8 scales the optimizer gets the gradients at w.

    Args:
        passes: The passes of the step, whose rule may change the gradients by its `descent`.
        step: The number of steps that the optimizer has taken.
        both: Gradients at w and at w + e(w). In a plain step both are those at w.
        rule_state: The values of the rule's variables so far.
        perturbing: Whether the step perturbs: a bool, or a boolean scalar tensor.
    """
    rule, result = passes.model.rule, both[1]
    if changes_descent(rule):
        at_w, shifted = map(passes.dense, both)

        def by(method, *gradients):
            with Scope(list(zip(rule.variables, rule_state, strict=True))) as scope:
                changed = steps.at(step, method, *gradients)
            return changed, [scope.read(v) for v in rule.variables]

        result, rule_state = passes.either(
            perturbing,
            lambda: by(rule.descent, at_w, shifted),
            lambda: by(rule.plain_descent, at_w),
        )
    result = [
        first if is_overwritten(v) else second
        for v, first, second in zip(passes.variables, both[0], result, strict=True)
    ]
    return result, rule_state


def changes_descent(rule: Rule) -> bool:
    """Whether the optimizer gets other gradients than those at w + e."""
    changed, plain = type(rule), Rule
    return changed.descent is not plain.descent or changed.plain_descent is not plain.plain_descent

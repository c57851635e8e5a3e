"""What the rule and the optimizer are given of the gradients that the passes find."""

from keras import ops

from keras_zsharp.keras_internals import Scope, is_overwritten
from keras_zsharp.perturbations import Perturbation
from keras_zsharp.perturbations.operators import each


def unscaled(gradients, scale):
    """Those of the loss itself: a rule's average is not scale-invariant.

    Args:
        gradients: Of the scaled loss, dense, None where there is none.
        scale: What the loss was multiplied by: a scalar.
    """
    if isinstance(scale, float) and scale == 1.0:
        return gradients
    return each(lambda g: g / ops.cast(scale, g.dtype), gradients)


def descent(rule, passes, variables, rule_state, perturbing, either, prepare=list):
    """What the optimizer is given, scaled as it asks, and the rule's state after that.

    Of float8 scales, it is given the gradients at w.

    Args:
        rule: Which may make something else of the gradients.
        passes: Gradients at w and at w + e(w); in a plain step, those at w twice.
        variables: The trainable variables.
        rule_state: Of the rule's variables so far.
        perturbing: Whether the step perturbs: a bool, or such a scalar tensor.
        either: Function that calls one of two functions, by such a condition.
        prepare: Function from gradients to the dense ones that the rule is given.
    """
    result = passes[1]
    if _changes_descent(rule):
        at_w, shifted = map(prepare, passes)

        def by(method, *given):
            with Scope(list(zip(rule.variables, rule_state, strict=True))) as scope:
                found = method(*given)
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

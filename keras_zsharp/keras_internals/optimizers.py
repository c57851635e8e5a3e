"""What Keras' optimizers keep, and what they change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from keras_zsharp.keras_internals.tracking import is_built, rule_of, trained, variables_of
from keras_zsharp.typing import Tensor


def build_optimizer(model: Any) -> None:
    """Creates the variables of the compiled optimizer and of the rule. The model must be built."""
    if not is_built(model):
        raise ValueError(
            "The model must be built before its state is restored: call it on a batch, or give "
            f"it its input shape. Received: model={model.name!r}"
        )
    if not model.optimizer.built:
        with variables_of(model):
            model.optimizer.build(model.trainable_variables)
    if (rule := rule_of(model)) is not None:
        rule.build(trained(model))


def _inner(optimizer):
    """The optimizer that steps, in a `LossScaleOptimizer`."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def decayed(model: Any) -> list[bool]:
    """Whether the optimizer decays each trainable variable, if it decays any."""
    optimizer = _inner(model.optimizer)
    if not optimizer.weight_decay:
        return []
    if hasattr(optimizer, "_is_excluded_from_weight_decay"):  # From Keras 3.16 on.
        return [not optimizer._is_excluded_from_weight_decay(v) for v in model.trainable_variables]
    return [bool(optimizer._use_weight_decay(v)) for v in model.trainable_variables]


def steps_taken(optimizer: Any) -> Tensor:
    """The number of steps that an optimizer has taken, a scalar tensor, in a scope that of there.

    `optimizer.iterations` is a variable, or a tensor where the optimizer accumulates gradients. In
    Keras 3.8 that of a `LossScaleOptimizer` stands at 0.
    """
    inner = _inner(optimizer)
    return keras.ops.convert_to_tensor(inner.iterations)


def accumulates(optimizer: Any) -> int:
    """The number of batches whose gradients an optimizer accumulates for a step."""
    inner = _inner(optimizer)
    return inner.gradient_accumulation_steps or 1


_MOMENTA = {
    keras.optimizers.SGD: ("momentums", -1),
    keras.optimizers.RMSprop: ("_momentums", 1),
    keras.optimizers.Adam: ("_momentums", 1),
    keras.optimizers.Adamax: ("_m", 1),
    keras.optimizers.Lion: ("_momentums", 1),
    keras.optimizers.Nadam: ("_momentums", 1),
}
"""The attribute in which an optimizer keeps its average of the gradients, and the sign of it."""


def momenta(optimizer: Any, variables: Iterable[Any]) -> list[Tensor]:
    """The averages of the gradients of `variables` that an optimizer keeps.

    They may have a factor: SGD's have the learning rate.
    """
    inner = _inner(optimizer)
    found = [where for kind, where in _MOMENTA.items() if isinstance(inner, kind)]
    if not found or not getattr(inner, "momentum", 1.0):
        known = ", ".join(kind.__name__ for kind in _MOMENTA)
        raise ValueError(
            f"`optimizer` must keep a momentum, as those of {known} do; of SGD and RMSprop with "
            f"`momentum` above 0. Received: optimizer={inner.name!r}, a {type(inner).__name__}"
        )
    [(name, sign)] = found
    kept = getattr(inner, name)
    return [
        sign * keras.ops.convert_to_tensor(kept[inner._get_variable_index(v)]) for v in variables
    ]


def is_overwritten(variable: Any) -> bool:
    """Whether an optimizer overwrites a variable with its gradient: a float8 scale, no weight."""
    return getattr(variable, "overwrite_with_gradient", False)

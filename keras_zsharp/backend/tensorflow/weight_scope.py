from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from keras_zsharp.backend.tensorflow.tensorflow_internals import TensorAsVariable
from keras_zsharp.keras_internals.scoping import Scope

NO_FUNCTION = (
    "A layer's `call` or a loss must not be a `tf.function` of its own, nor keep tensors from one "
    "call to the next: it would keep weights. Unless it runs eagerly, Keras traces the whole step"
)


class WeightScope(Scope):
    """Gives weights other values. No variable changes inside.

    `keras.remat`, `tf.recompute_grad` and `tf.custom_gradient` ask TensorFlow for the variables
    that they read. They find a stand-in for each weight.

    Args:
        variables: The trainable variables.
        weights: Their values in the scope, one tensor each.
        state: The values of other variables: pairs of a variable and a tensor.
    """

    def __init__(
        self,
        variables: Sequence[Any],
        weights: Iterable[Any],
        state: Sequence[tuple[Any, Any]] = (),
    ) -> None:
        self.weights = list(weights)
        pairs = list(zip(variables, self.weights, strict=True))
        super().__init__([*pairs, *state], collect_losses=True)
        self._eager = tf.executing_eagerly()
        self._stand_ins = {id(v): TensorAsVariable(v.path, weight) for v, weight in pairs}

    def is_weight(self, variable: Any) -> bool:
        """Whether a variable is one of the trainable ones."""
        return id(variable) in self._stand_ins

    def read(self, variable: Any) -> Any:
        value = super().read(variable)
        if self.is_weight(variable):
            self._check_recorded(variable)
            stand_in = self._stand_ins[id(variable)]
            if stand_in.value() is value:
                stand_in.accessed()
        return value

    def _check_recorded(self, variable):
        """Refuses a function that is traced while all else runs eagerly: weights are constants."""
        if self._eager and not tf.executing_eagerly():
            raise ValueError(
                f"{NO_FUNCTION}. Received: such a layer or loss with the weight {variable.path!r}"
            )

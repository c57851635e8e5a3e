import tensorflow as tf

from keras_zsharp.keras_internals import Scope
from keras_zsharp.tensorflow_internals import TensorAsVariable

NO_FUNCTION = (
    "A layer's `call` or a loss must not be a `tf.function` of its own, nor keep tensors from one "
    "call to the next: it would keep weights. Unless it runs eagerly, Keras traces all of a step"
)


class WeightScope(Scope):
    """Gives weights other values; no variable changes inside.

    What asks TensorFlow for the variables that it reads, to get gradients of its own for them,
    finds one for each weight: `keras.remat`, `tf.recompute_grad`, `tf.custom_gradient`.

    Args:
        variables: The trainable variables.
        weights: What they stand for inside the scope, one tensor each.
        state: What other variables stand for, pairs of a variable and a tensor.
    """

    def __init__(self, variables, weights, state=()):
        self.weights = list(weights)
        given = list(zip(variables, self.weights, strict=True))
        super().__init__([*given, *state], collect_losses=True)
        self._eager = tf.executing_eagerly()
        self._stand_ins = {id(v): TensorAsVariable(v.path, weight) for v, weight in given}

    def is_weight(self, variable):
        return id(variable) in self._stand_ins

    def read(self, variable):
        value = super().read(variable)
        if self.is_weight(variable):
            self._check_recorded(variable)
            stand_in = self._stand_ins[id(variable)]
            if stand_in.value() is value:
                stand_in.accessed()
        return value

    def _check_recorded(self, variable):
        """A function traced while all else runs eagerly may take a weight for a constant."""
        if self._eager and not tf.executing_eagerly():
            raise ValueError(
                f"{NO_FUNCTION}. Received: such a layer or loss with the weight {variable.path!r}"
            )

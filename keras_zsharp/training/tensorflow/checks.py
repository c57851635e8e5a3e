"""What the step cannot look into is refused."""

import tensorflow as tf

from keras_zsharp.keras_internals import read_around_scope
from keras_zsharp.weight_scope import NO_FUNCTION

_AROUND = NO_FUNCTION + ". Received: such a layer or loss with the weights {}"


def check_read_in_scope(variables, tape):
    """The tape must not have seen a weight itself, only what stands for it in the pass."""
    around = read_around_scope(variables, tape)
    if around:
        raise ValueError(_AROUND.format(around))


def check_second_pass(variables, gradients, shifted_gradients):
    """The loss at w + e depends on the weights that the loss at w depends on.

    In a graph. Eagerly, Python code in a model's `call` may well choose another way each time.
    """
    pairs = zip(variables, gradients, shifted_gradients, strict=True)
    around = [v.path for v, g, shifted in pairs if (g is None) != (shifted is None)]
    if around and not tf.executing_eagerly():
        raise ValueError(_AROUND.format(around))

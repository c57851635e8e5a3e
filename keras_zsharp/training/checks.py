"""What the step cannot look into is refused."""

import tensorflow as tf

from keras_zsharp._keras import stored

_AROUND = (
    "A layer's `call` must not be a `tf.function` of its own: it keeps the weights it was traced "
    "with, and has no loss at w + e(w). Received: such a layer with the weights {}"
)


def check_read_in_scope(variables, tape):
    """The tape must not have seen a weight itself, only what stands for it in the pass."""
    watched = {id(v) for v in tape.watched_variables()}
    around = [v.path for v in variables if id(stored(v)) in watched]
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

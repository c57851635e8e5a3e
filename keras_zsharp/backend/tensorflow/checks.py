"""Checks that the weights of a pass reach the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_zsharp.backend.tensorflow.weight_scope import NO_FUNCTION
from keras_zsharp.keras_internals.scoping import read_around_scope
from keras_zsharp.typing import Gradients

_AROUND = NO_FUNCTION + ". Received: such a layer or loss with the weights {}"


def check_read_in_scope(variables: Sequence[Any], tape: tf.GradientTape) -> None:
    """Checks that the tape saw no weight itself, but its value in the pass."""
    around = read_around_scope(variables, tape)
    if around:
        raise ValueError(_AROUND.format(around))


def check_second_pass(
    variables: Sequence[Any], gradients: Gradients, shifted_gradients: Gradients
) -> None:
    """Checks in a graph that both losses depend on the same weights.

    Eagerly, the Python code of a model's `call` may differ between the passes.
    """
    pairs = zip(variables, gradients, shifted_gradients, strict=True)
    around = [v.path for v, g, shifted in pairs if (g is None) != (shifted is None)]
    if around and not tf.executing_eagerly():
        raise ValueError(_AROUND.format(around))

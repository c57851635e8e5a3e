"""Recording what is to be differentiated, whatever an interrupt cuts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def recorded(function: Callable[[], Any], weights: Any) -> tuple[Any, tf.GradientTape]:
    """The result of a function of weights, and the tape that has watched them."""
    tape = tf.GradientTape()
    try:
        with tape:
            tape.watch(weights)
            result = function()
    finally:
        # An interrupt may have cut it as it was left: all that follows would be recorded.
        tape.__exit__(None, None, None)
    return result, tape

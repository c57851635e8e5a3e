from __future__ import annotations

from typing import Any, NamedTuple

from keras_zsharp.typing import Nested, Tensor


class Outcome(NamedTuple):
    """The results of the two passes over a batch or a micro-batch.

    Attributes:
        y_pred: Predictions of the clean pass.
        loss: The loss at w.
        shifted_loss: The loss at w + e(w).
        gradients: The gradients for the optimizer, with its loss scale.
        rule_state: The new values of the rule's variables.
        finite: Whether loss and gradients at w are finite. None if the step does not ask.
    """

    y_pred: Nested
    loss: Tensor
    shifted_loss: Tensor
    gradients: list[Any]
    rule_state: list[Any]
    finite: Any

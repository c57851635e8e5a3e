import typing


class Outcome(typing.NamedTuple):
    """What the two passes over a batch, or over a part of it, come to.

    Attributes:
        y_pred: Predictions of the clean pass.
        loss: At w.
        shifted_loss: At w + e(w).
        gradients: For the optimizer: of the second pass, scaled as it asks.
        rule_state: What the rule's variables are to become.
        finite: Whether loss and gradients at w are finite, None where that is not asked.
    """

    y_pred: object
    loss: object
    shifted_loss: object
    gradients: list
    rule_state: list
    finite: object

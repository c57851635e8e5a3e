"""What a step needs of a backend: `Passes`, of which each backend has its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from keras import ops

from keras_zsharp.typing import Batch, FloatTensor, Gradients, Nested, Tensor

SMALLEST_SCALE = 2.0**-16
"""With it, the product of the two largest numbers of float16, 2^32, fits into float16 again.

What overflows then overflows with any scale. Keras would halve the scale down to 0, with which no
step is ever taken; from this one, a few good steps find the way back.
"""

Check = Callable[[Nested, Nested, Sequence[Any]], None]
"""Refuses what a pass has computed, from its predictions, the sample weights, and the variables
that layers have assigned."""


class Pass(NamedTuple):
    """One pass forward and backward over a batch.

    Attributes:
        state: The state after the pass: the values that the layers have assigned.
        loss: The loss.
        gradients: Its gradients with the optimizer's loss scale, None where it does not depend on
            a variable. On TensorFlow they may be sparse.
        y_pred: The predictions.
        trace: What the backend notes of the pass, to compare it with another one.
    """

    state: Any
    loss: Tensor
    gradients: Gradients
    y_pred: Nested
    trace: Any = None


class Outcome(NamedTuple):
    """The results of the passes over a batch or a micro-batch.

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


class Passes(Protocol):
    """The passes of one step of a model, and the writing of what comes of them.

    A state is an overlay of values on the model's variables. A pass starts from one and leaves
    another; the variables themselves change in `write` alone.

    Args:
        model: A sharpness-aware model.
        check: Called at the end of each pass.
        *arguments: Those of Keras' `train_step`. Without them, passes start from the values that
            the variables have here.

    Attributes:
        model: The model.
        variables: The trainable variables.
        start: The state before the step.
        loops: Whether `looped` takes micro-batches of one size in a loop.
        cuts_shares: Whether `on_devices` cuts a batch which plain Keras takes as a whole.
        shares: int, the number of devices over which a batch lies that one program takes.
        cuts_at_run_time: Whether a batch can be cut to a size that is not known before the step.
    """

    model: Any
    variables: list[Any]
    start: Any
    loops: bool
    cuts_shares: bool
    shares: int
    cuts_at_run_time: bool

    def __init__(self, model: Any, check: Check, *arguments: Any) -> None: ...

    def run(self, before: Any, batch: Batch, at: Sequence[Tensor] | None = None) -> Pass:
        """Goes forward and backward over a batch, in training, as Keras' own step does.

        Args:
            before: The state that the pass starts from.
            batch: Tuple of inputs, targets and sample weights.
            at: Values of the weights, other than those in `before`.

        Raises:
            ValueError: The loss depends on a variable itself, not on its value in the pass.
        """
        ...

    def rewound(self, clean: Pass) -> contextlib.AbstractContextManager[Any]:
        """Encloses what starts from the noise that a pass started from."""
        ...

    def compare(self, clean: Pass, shifted: Pass) -> Sequence[str]:
        """Refuses a second pass that uses what the first has computed from its weights.

        Returns:
            The names of operations that draw noise which the passes do not share.
        """
        ...

    def weights(self, state: Any) -> list[Tensor]:
        """The weights to which a perturbation is added."""
        ...

    def values(self, variables: Sequence[Any], scope: Any = None) -> list[Tensor]:
        """The values of variables in a scope that `at` has opened, or else before the step."""
        ...

    def before(self) -> contextlib.AbstractContextManager[Any]:
        """A scope in which all variables have the values that they had before the step."""
        ...

    def at(self, weights: Sequence[Tensor]) -> contextlib.AbstractContextManager[Any]:
        """A scope in which a rule reads weights, and assigns its state."""
        ...

    def decided(self, perturbs: Callable[[], bool | Tensor]) -> bool | Tensor:
        """Whether the step perturbs: a bool where the host knows it, or a boolean scalar."""
        ...

    def either(self, condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
        """The result of one of two functions: a branch, unless the host knows which."""
        ...

    def dense(self, gradients: Gradients) -> Gradients:
        """Gradients as a rule gets them, but for the loss scale: dense, and of all replicas if
        `perturbation_sync` says so."""
        ...

    def unscaled(self, gradients: Gradients, alone: bool = False) -> Gradients:
        """`dense` gradients without the loss scale.

        Args:
            gradients: The gradients.
            alone: Whether they are of this replica alone, whatever `perturbation_sync` says. Else
                call it outside of branches, in which replicas must not wait for each other.
        """
        ...

    def instantiated(self, gradients: Gradients) -> Gradients:
        """Gradients with what plain Keras passes to the optimizer for None."""
        ...

    def weighted(self, values: Sequence[Any], weights: Sequence[Any]) -> Any:
        """The weighted sum of gradients or losses."""
        ...

    def finite(self, loss: Tensor, gradients: Gradients) -> Tensor:
        """Whether loss and gradients have no infinity and no NaN: a boolean scalar."""
        ...

    def everywhere(self, finite: Tensor) -> Tensor:
        """Whether a boolean scalar is true on all replicas or processes: they skip together."""
        ...

    def assigned(self, state: Any) -> list[Any]:
        """The variables that layers have assigned. On JAX, `check` alone gets them."""
        ...

    def assigned_values(self, state: Any, clean: Any) -> list[Tensor]:
        """The values in a state of what the layers have assigned in the clean pass, but weights.

        Args:
            state: The state after a pass.
            clean: The state after the clean pass.
        """
        ...

    def with_assigned(self, clean: Any, values: Sequence[Tensor]) -> Any:
        """The state after the clean pass, with other `assigned_values`."""
        ...

    def kept(self, always: bool = False) -> Any:
        """A context that puts back what is in no variable: if an error is raised, or always.

        It yields an object whose `put_back_unless(finite)` does so where a step is skipped.
        """
        ...

    def writing(self, kept: Any) -> contextlib.AbstractContextManager[Any]:
        """Encloses what follows the passes: all of it happens, or nothing.

        Where it assigns variables, interrupts wait. On JAX it is undone: the step has happened once
        it has returned its state.

        Args:
            kept: What `kept` has yielded.
        """
        ...

    def looped(
        self, take: Callable[..., tuple[Any, Outcome]], batches: Sequence[Batch], before: Any
    ) -> tuple[Any, Outcome]:
        """The state after the clean passes over micro-batches of one size, and their mean.

        Only a backend that `loops` has it.
        """
        ...

    def on_devices(
        self,
        take: Callable[..., tuple[Any, Outcome]],
        batch: Batch,
        are_cut: Nested,
        perturbing: bool | Tensor,
    ) -> tuple[Any, Outcome]:
        """Calls `take(passes, batch, perturbing)`: once, or on each device's share of a batch."""
        ...

    def write(self, clean: Any, outcome: Outcome) -> None:
        """Assigns the state after the clean passes and the rule's, and lets the optimizer step.

        If the step is skipped, only a loss scale changes.
        """
        ...

    def logged(self, measure: Callable[[], Tensor], batch: Batch, y_pred: Nested) -> Any:
        """Updates the metrics, and returns what Keras' `train_step` returns.

        Args:
            measure: Updates the metrics that plain Keras lacks, and returns the loss.
            batch: Tuple of inputs, targets and sample weights.
            y_pred: The predictions.
        """
        ...


def kept_scale(before: FloatTensor, after: FloatTensor) -> Tensor:
    """The loss scale after a step, from that before it and what the optimizer has made of it."""
    return ops.maximum(after, ops.minimum(before, SMALLEST_SCALE))


def unscaled(gradients: Gradients, scale: FloatTensor) -> Gradients:
    """The gradients of the loss itself: a rule's average must not depend on the loss scale.

    Args:
        gradients: Dense gradients of the scaled loss, or None.
        scale: The factor of the loss.
    """
    if isinstance(scale, float) and scale == 1.0:
        return gradients
    return [None if g is None else g / ops.cast(scale, g.dtype) for g in gradients]


def weighted(values: Sequence[Tensor], weights: Sequence[Any]) -> Tensor:
    """The weighted sum of tensors."""
    return sum(v * ops.cast(weight, v.dtype) for v, weight in zip(values, weights, strict=True))

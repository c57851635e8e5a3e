"""`keras_zsharp.backend.passes.Passes` on PyTorch."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import torch

from keras_zsharp import outside
from keras_zsharp.backend.passes import Check, Outcome, Pass, kept_scale, unscaled, weighted
from keras_zsharp.backend.scopes import PassesInScopes
from keras_zsharp.backend.torch import backward, processes, randomness
from keras_zsharp.backend.torch.checks import refuse_in_place
from keras_zsharp.backend.torch.scope import PassScope
from keras_zsharp.keras_internals import calling
from keras_zsharp.typing import Batch, Gradients, Nested, Tensor


class Passes(PassesInScopes):
    """`Passes` on PyTorch."""

    scope = PassScope

    def __init__(self, model: Any, check: Check, *arguments: Any) -> None:
        super().__init__(model, check, *arguments)
        self._all_variables = model.variables

    @functools.cached_property
    def _at_w(self):
        return self.values(self.variables)

    def weights(self, state: Any) -> list[Tensor]:
        return self._at_w if state is None else super().weights(state)

    def run(self, before: Any, batch: Batch, at: Sequence[Tensor] | None = None) -> Pass:
        x, y, sample_weight = batch
        noise = randomness.state()
        scope = PassScope(self.variables, self.weights(before) if at is None else at, before)
        in_place_refused = refuse_in_place(self._all_variables, self.variables, scope.weights)
        with torch.enable_grad(), scope, in_place_refused:
            y_pred = calling.forward(self.model, x)
            backward.zero_grad(self.model, scope.weights, self.variables)
            loss = calling.compute_loss(self.model, x, y, y_pred, sample_weight)
            self._check(y_pred, sample_weight, scope.assigned())
            scaled_loss = self.model.optimizer.scale_loss(loss)
            # What is computed again while going backward belongs to the pass, too.
            gradients = backward.gradients(scaled_loss, scope.weights, self.variables)
        y_pred = keras.tree.map_structure(_detached, y_pred)
        return Pass(scope, loss.detach(), gradients, y_pred, noise)

    def rewound(self, clean: Pass) -> contextlib.AbstractContextManager[Any]:
        return randomness.rewound(clean.trace)

    def compare(self, clean: Pass, shifted: Pass) -> Sequence[str]:
        return ()

    def values(self, variables: Sequence[Any], scope: Any = None) -> list[Tensor]:
        with scope or contextlib.nullcontext():
            return [v.value.detach() for v in variables]

    def decided(self, perturbs: Callable[[], bool | Tensor]) -> bool:
        return bool(perturbs())

    def either(self, condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
        return yes() if condition else no()

    def dense(self, gradients: Gradients) -> Gradients:
        return gradients

    def unscaled(self, gradients: Gradients, alone: bool = False) -> Gradients:
        return unscaled(gradients, self.model.optimizer.scale_loss(1.0))

    def weighted(self, values: Sequence[Any], weights: Sequence[Any]) -> Any:
        return weighted(values, weights)

    def finite(self, loss: Tensor, gradients: Gradients) -> Tensor:
        values = (loss, *(g for g in gradients if g is not None))
        return torch.stack([torch.isfinite(value).all() for value in values]).all()

    def everywhere(self, finite: Tensor) -> Tensor:
        return processes.all_find(self.model, finite)

    @contextlib.contextmanager
    def kept(self, always: bool = False) -> Iterator[_Kept]:
        with (
            torch.no_grad(),  # But for the passes.
            backward.put_back(self.variables, always),
            outside.put_back(self.model, always) as before,
            randomness.put_back(always) as noise,
        ):
            yield _Kept(before, noise)

    def write(self, clean: PassScope, outcome: Outcome) -> None:
        optimizer = self.model.optimizer
        backward.leave(self.variables, outcome.gradients)
        with torch.no_grad():
            if outcome.finite is None or outcome.finite:
                clean.commit()
                pairs = zip(self.model.rule.variables, outcome.rule_state, strict=True)
                for variable, value in pairs:
                    variable.assign(value)
                optimizer.apply(outcome.gradients, self.variables)
            elif isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
                # The optimizer notices a NaN, and lowers its scale.
                nothing = [None if g is None else g * float("nan") for g in outcome.gradients]
                scale = keras.ops.copy(optimizer.dynamic_scale)
                optimizer.apply(nothing, self.variables)
                optimizer.dynamic_scale.assign(kept_scale(scale, optimizer.dynamic_scale))

    def logged(self, measure: Callable[[], Tensor], batch: Batch, y_pred: Nested) -> Any:
        with torch.no_grad():
            return calling.logs_of(self.model, measure(), batch, y_pred)


class _Kept:
    """What is in no variable, and PyTorch's generators, as they were before the step."""

    def __init__(self, before: outside.Outside, noise: Any) -> None:
        self.put_back, self._noise = before.put_back, noise

    def put_back_unless(self, finite: Any) -> None:
        if not finite:
            self.put_back()
            randomness.restore(self._noise)


def _detached(prediction):
    if not torch.is_tensor(prediction):  # A model may predict None.
        return prediction
    mask = calling.mask_of(prediction)
    return calling.with_mask(prediction.detach(), mask)

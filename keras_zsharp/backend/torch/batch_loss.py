"""`keras_zsharp.backend.batch_loss.BatchLoss` on PyTorch."""

from __future__ import annotations

import contextlib
from typing import Any

import keras
import torch
from keras import ops

from keras_zsharp import interrupts
from keras_zsharp.backend import batch_loss
from keras_zsharp.backend.batch_loss import joined
from keras_zsharp.backend.torch import torch_internals
from keras_zsharp.backend.torch.checks import check_modules, check_read_in_scope, in_this_thread
from keras_zsharp.keras_internals import scoping
from keras_zsharp.typing import FloatTensor, Nested, Tensor

NO_DERIVATIVE = ("is not implemented", "differentiate twice")


class BatchLoss(batch_loss.BatchLoss):
    """`keras_zsharp.backend.batch_loss.BatchLoss` on PyTorch."""

    def __init__(self, model: keras.Model, structure: Nested, specs: list[Any]) -> None:
        super().__init__(model, structure, specs)
        check_modules(model)

    def loss(self, shift: Tensor, scale: FloatTensor, batch: list[Tensor]) -> tuple[Tensor, ...]:
        # The gradient shows whether the loss depends on the shifted weights.
        return self.gradient(shift, scale, batch)[:1]

    @interrupts.puts_back(torch_internals.autograd_modes)
    def gradient(
        self, shift: Tensor, scale: FloatTensor, batch: list[Tensor]
    ) -> tuple[Tensor, ...]:
        weights = self._weights(shift)
        with self._pass(weights):
            loss, gradients = self._gradients(weights, scale, batch)
        return loss.detach(), joined(_instantiated(gradients, weights)).detach() / scale

    @interrupts.puts_back(torch_internals.autograd_modes)
    def product(
        self, vector: Tensor, scale: FloatTensor, batch: list[Tensor]
    ) -> tuple[Tensor, ...]:
        vector = ops.convert_to_tensor(vector)
        weights = self._weights(torch.zeros_like(vector))
        try:
            with self._pass(weights):
                _, gradients = self._gradients(weights, scale, batch, create_graph=True)
                slope = (joined(_instantiated(gradients, weights)) * vector).sum()
                if slope.requires_grad:
                    # `torch.autograd.grad` would not find a missing derivative.
                    slope.backward()
        except RuntimeError as error:
            if any(words in str(error) for words in NO_DERIVATIVE):
                raise LookupError(str(error)) from error
            raise
        return (joined(_instantiated([w.grad for w in weights], weights)) / scale,)

    @contextlib.contextmanager
    def _pass(self, weights):
        """A scope for going forward and backward. New state of the model is dropped."""
        values = zip(self.variables, weights, strict=True)
        scope = scoping.Scope(values, collect_losses=True)
        with torch.enable_grad(), in_this_thread(), scope:
            yield

    def _gradients(self, weights, scale, batch, create_graph=False):
        """The loss, and the gradients of the scaled loss."""
        loss = self._evaluated([ops.convert_to_tensor(leaf) for leaf in batch])
        return loss, check_read_in_scope(loss * scale, weights, self.variables, create_graph)

    def _weights(self, shift):
        weights = [v.value.detach() for v in self.variables]
        return [w.requires_grad_() for w in self._shifted(weights, ops.convert_to_tensor(shift))]


def _instantiated(gradients, weights):
    pairs = zip(gradients, weights, strict=True)
    return [torch.zeros_like(w) if g is None else g for g, w in pairs]

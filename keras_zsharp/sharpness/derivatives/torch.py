import torch
from keras import ops

from keras_zsharp import keras_internals
from keras_zsharp.sharpness.derivatives import base
from keras_zsharp.sharpness.derivatives.base import joined
from keras_zsharp.torch_checks import check_modules, check_read_in_scope

NO_DERIVATIVE = ("is not implemented", "differentiate twice")


class BatchLoss(base.BatchLoss):
    """See `base.BatchLoss`."""

    def __init__(self, model, structure, specs):
        super().__init__(model, structure, specs)
        check_modules(model)

    def loss(self, shift, scale, batch):
        # With the gradient, which shows whether the loss depends on the weights that are shifted.
        return self.gradient(shift, scale, batch)[:1]

    def gradient(self, shift, scale, batch):
        weights = self._weights(shift)
        loss, gradients = self._gradients(weights, scale, batch)
        return loss.detach(), joined(_instantiated(gradients, weights)).detach() / scale

    def product(self, vector, scale, batch):
        vector = ops.convert_to_tensor(vector)
        weights = self._weights(torch.zeros_like(vector))
        try:
            _, gradients = self._gradients(weights, scale, batch, create_graph=True)
            with torch.enable_grad():
                slope = (joined(_instantiated(gradients, weights)) * vector).sum()
            if slope.requires_grad:
                # `torch.autograd.grad` would not look where a derivative is missing.
                slope.backward()
        except RuntimeError as error:
            if any(part in str(error) for part in NO_DERIVATIVE):
                raise LookupError(str(error)) from error
            raise
        return (joined(_instantiated([w.grad for w in weights], weights)) / scale,)

    def _gradients(self, weights, scale, batch, create_graph=False):
        """The loss, and the gradients of the scaled one; whatever state it moves is dropped."""
        batch = [ops.convert_to_tensor(leaf) for leaf in batch]
        values = zip(self.variables, weights, strict=True)
        with torch.enable_grad(), keras_internals.Scope(values, collect_losses=True):
            loss = self._evaluated(batch)
            scaled_loss = loss * scale
        return loss, check_read_in_scope(scaled_loss, weights, self.variables, create_graph)

    def _weights(self, shift):
        weights = [v.value.detach() for v in self.variables]
        return [w.requires_grad_() for w in self._shifted(weights, ops.convert_to_tensor(shift))]


def _instantiated(gradients, weights):
    pairs = zip(gradients, weights, strict=True)
    return [torch.zeros_like(w) if g is None else g for g, w in pairs]

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras

from keras_zsharp import keras_internals
from keras_zsharp.sharpness.derivatives import base
from keras_zsharp.sharpness.derivatives.base import joined
from keras_zsharp.typing import Nested


class BatchLoss(base.BatchLoss):
    """`base.BatchLoss` on JAX."""

    def __init__(self, model: keras.Model, structure: Nested, specs: list[Any]) -> None:
        super().__init__(model, structure, specs)
        trained = set(map(id, self.variables))
        self._others = [v for v in model.variables if id(v) not in trained]
        self.loss, self.gradient, self.product = map(
            self._of_the_state, (self._loss, self._gradient, self._product)
        )

    def _of_the_state(self, method):
        """A function of vector, scale and batch. It reads the weights at each call."""
        function = method if self.model.run_eagerly else jax.jit(method)

        def called(vector, scale, batch):
            keras_internals.synced(self.model)
            values = [[v.value for v in kind] for kind in (self.variables, self._others)]
            return function(*values, jnp.asarray(vector), scale, list(map(jnp.asarray, batch)))

        return called

    def _loss(self, weights, others, shift, scale, batch):
        del scale
        return (self._at(others, batch)(self._shifted(weights, shift)),)

    def _gradient(self, weights, others, shift, scale, batch):
        of_weights = jax.value_and_grad(self._at(others, batch, scale))
        loss, gradients = of_weights(self._shifted(weights, shift))
        return loss / scale, joined(gradients) / scale

    def _product(self, weights, others, vector, scale, batch):
        gradient = jax.grad(self._at(others, batch, scale))
        _, product = jax.jvp(gradient, (weights,), (self._split(vector),))
        return (joined(product) / scale,)

    def _at(self, others, batch, scale=1.0):
        """The scaled loss as a function of the weights. New state of the model is dropped."""

        def loss(weights):
            values = zip([*self.variables, *self._others], [*weights, *others], strict=True)
            with keras_internals.Scope(values, collect_losses=True):
                return self._evaluated(batch) * scale

        return loss

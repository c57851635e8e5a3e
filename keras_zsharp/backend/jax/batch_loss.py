"""`keras_zsharp.backend.batch_loss.BatchLoss` on JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras
from keras import ops

from keras_zsharp.backend import batch_loss
from keras_zsharp.backend.batch_loss import joined
from keras_zsharp.keras_internals import fitting
from keras_zsharp.typing import Nested


class BatchLoss(batch_loss.BatchLoss):
    """`keras_zsharp.backend.batch_loss.BatchLoss` on JAX."""

    def __init__(self, model: keras.Model, structure: Nested, specs: list[Any]) -> None:
        super().__init__(model, structure, specs)
        self.loss, self.gradient, self.product = map(
            self._of_the_state, (self._loss, self._gradient, self._product)
        )

    def _of_the_state(self, method):
        """A function of vector, scale and batch. It reads the weights at each call."""
        function = method if self.model.run_eagerly else jax.jit(method)

        def called(vector, scale, batch):
            fitting.synced(self.model)
            # Training builds the rule and the metrics, if it comes in between.
            kinds = self.model.non_trainable_variables, self.model.metrics_variables
            weights, *others = ([v.value for v in kind] for kind in (self.variables, *kinds))
            vector, batch = jnp.asarray(vector), list(map(jnp.asarray, batch))
            return function(weights, others, vector, scale, batch)

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

        x, y, sample_weight = self._unpacked(batch)

        def loss(weights):
            # As Keras' own `test_step` does.
            found, _ = self.model.compute_loss_and_updates(
                weights, *others, x, y, sample_weight, training=False
            )
            return ops.cast(found, "float32") * scale

        return loss

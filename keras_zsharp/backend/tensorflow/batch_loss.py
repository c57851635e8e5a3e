"""`keras_zsharp.backend.batch_loss.BatchLoss` on TensorFlow."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_zsharp.backend import batch_loss
from keras_zsharp.backend.batch_loss import joined
from keras_zsharp.backend.tensorflow.recording import recorded
from keras_zsharp.backend.tensorflow.weight_scope import NO_FUNCTION, WeightScope
from keras_zsharp.keras_internals import scoping
from keras_zsharp.typing import Nested


class BatchLoss(batch_loss.BatchLoss):
    """`keras_zsharp.backend.batch_loss.BatchLoss` on TensorFlow."""

    def __init__(self, model: keras.Model, structure: Nested, specs: list[Any]) -> None:
        super().__init__(model, structure, specs)
        self.loss, self.gradient, self.product = map(
            self._compiled, (self._loss, self._gradient, self._product)
        )

    def _compiled(self, method):
        if self.model.run_eagerly:
            return method
        specs = [
            spec if isinstance(spec, tf.TypeSpec) else tf.TensorSpec(spec.shape, spec.dtype)
            for spec in self._specs
        ]
        vector, scale = tf.TensorSpec((self.size,), tf.float32), tf.TensorSpec((), tf.float32)
        # Each instance has a function of its own. TensorFlow counts the traces of a method over all
        # instances, and would warn of retracing.
        return tf.function(
            lambda *arguments: method(*arguments),
            input_signature=[vector, scale, specs],
            autograph=False,
        )

    def _loss(self, shift, scale, batch):
        del scale
        weights = self._weights(shift)
        with WeightScope(self.variables, weights):
            return (self._recorded(weights, batch)[0],)

    def _gradient(self, shift, scale, batch):
        loss, gradients = self._gradients(self._weights(shift), scale, batch)
        return loss, joined(gradients) / scale

    def _product(self, vector, scale, batch):
        weights = self._weights(tf.zeros_like(vector))

        def along():
            _, gradients = self._gradients(weights, scale, batch)
            return tf.reduce_sum(joined(gradients) * vector)

        slope, tape = recorded(along, weights)
        return (joined(_derivatives(tape, slope, weights)) / scale,)

    def _recorded(self, weights, batch):
        """The loss in the scope that is open, and the tape. New state of the model is dropped."""
        loss, tape = recorded(lambda: self._evaluated(batch), weights)
        around = scoping.read_around_scope(self.variables, tape)
        if around:
            raise ValueError(f"{NO_FUNCTION}. Received: such a layer or loss with {around}")
        return loss, tape

    def _gradients(self, weights, scale, batch):
        """The loss, and the gradients of the scaled loss."""
        # What is computed again for the gradients belongs to the scope, too.
        with WeightScope(self.variables, weights):
            loss, tape = self._recorded(weights, batch)
            return loss, _derivatives(tape, loss, weights, scale)

    def _weights(self, shift):
        return self._shifted([tf.convert_to_tensor(v) for v in self.variables], shift)


def _derivatives(tape, value, weights, factor=1.0):
    """The gradients of a value times a factor."""
    unconnected = tf.UnconnectedGradients.ZERO
    factor = tf.cast(factor, value.dtype)
    gradients = tape.gradient(value, weights, factor, unconnected_gradients=unconnected)
    # The conversion of a sparse gradient, of an embedding, adds up repeated rows.
    return [tf.convert_to_tensor(g) for g in gradients]

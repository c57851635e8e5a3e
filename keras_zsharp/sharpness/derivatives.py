"""The loss of one batch at w + e, its gradient and its Hessian, as TensorFlow computes them."""

import keras
import tensorflow as tf

from keras_zsharp import keras_internals
from keras_zsharp.weight_scope import NO_FUNCTION, WeightScope

STEP = 1e-2
"""Length of the step of central differences: gradients in float32 have 7 digits."""


class BatchLoss:
    """The loss of a batch as a function of a float32 vector that stands for all weights.

    Args:
        model: A compiled and built `keras.Model`.
        structure: Structure into which the tensors of a batch pack.
        specs: What the tensors of a batch look like, in order.

    Its methods take a vector of shape (size,), the scale of the loss while it is differentiated (a
    float32 scalar: float16 loses small gradients, and large ones overflow) and the tensors of a
    batch. They give a tuple of what is not scaled.
    """

    def __init__(self, model, structure, specs):
        self.model, self.variables = model, keras_internals.trained(model)
        self._structure = structure
        self._sizes = [v.shape.num_elements() for v in map(keras_internals.stored, self.variables)]
        self.size = sum(self._sizes)
        signature = [tf.TensorSpec((self.size,), tf.float32), tf.TensorSpec((), tf.float32), *specs]

        def compiled(method):
            if model.run_eagerly:
                return method
            # A function of its own: TensorFlow counts what all instances trace of one method, and
            # would warn of retracing.
            return tf.function(
                lambda *arguments: method(*arguments), input_signature=signature, autograph=False
            )

        self.loss = compiled(self._loss)
        self.gradient = compiled(self._gradient)
        self.product = compiled(self._product)

    def differences(self, vector, scale, *batch):
        """What `product` gives, by central differences of the gradient."""
        h = STEP / tf.maximum(tf.norm(vector), 1e-30)
        _, ahead = self.gradient(h * vector, scale, *batch)
        _, behind = self.gradient(-h * vector, scale, *batch)
        return ((ahead - behind) / (2 * h),)

    def _loss(self, shift, scale, *batch):
        del scale
        return (self._at(self._shifted(shift), batch),)

    def _gradient(self, shift, scale, *batch):
        loss, gradients = self._gradients(self._shifted(shift), scale, batch)
        return loss, _joined(gradients) / scale

    def _product(self, vector, scale, *batch):
        weights = self._shifted(tf.zeros_like(vector))
        with tf.GradientTape() as tape:
            tape.watch(weights)
            _, gradients = self._gradients(weights, scale, batch)
            slope = tf.reduce_sum(_joined(gradients) * vector)
        return (_joined(_derivatives(tape, slope, weights)) / scale,)

    def _at(self, weights, batch):
        """The loss with `weights` in place of the variables; whatever state it moves is dropped."""
        x, y, sample_weight = unpacked(self._structure, batch)
        with WeightScope(self.variables, weights), tf.GradientTape() as tape:
            loss = keras_internals.evaluation_loss(self.model, x, y, sample_weight)
        around = keras_internals.read_around_scope(self.variables, tape)
        if around:
            raise ValueError(f"{NO_FUNCTION}. Received: such a layer or loss with {around}")
        return tf.cast(keras_internals.unscale_loss(loss), tf.float32)

    def _gradients(self, weights, scale, batch):
        """The loss, and the gradients of the scaled one."""
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss = self._at(weights, batch)
            scaled_loss = loss * scale
        return loss, _derivatives(tape, scaled_loss, weights)

    def _shifted(self, shift):
        weights = [tf.convert_to_tensor(v) for v in self.variables]
        return [w + tf.cast(e, w.dtype) for w, e in zip(weights, self._split(shift), strict=True)]

    def _split(self, vector):
        parts = tf.split(vector, self._sizes)
        return [tf.reshape(p, v.shape) for p, v in zip(parts, self.variables, strict=True)]


def _derivatives(tape, value, weights):
    gradients = tape.gradient(value, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    # Sparse ones, of embeddings, add up repeated rows.
    return [tf.convert_to_tensor(g) for g in gradients]


def _joined(tensors):
    """One float32 vector."""
    return tf.concat([tf.reshape(tf.cast(t, tf.float32), [-1]) for t in tensors], axis=0)


def unpacked(structure, batch):
    """x, y and sample_weight, from the tensors of a batch."""
    return keras.utils.unpack_x_y_sample_weight(tf.nest.pack_sequence_as(structure, batch))

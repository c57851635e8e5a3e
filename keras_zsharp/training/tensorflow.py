import keras
import tensorflow as tf

from keras_zsharp import _keras
from keras_zsharp.training.scope import PassScope


class TwoPassStep:
    """The training step of `SharpnessAwareTraining` on the TensorFlow backend.

    Expects a `keras.Model` with a rule as `perturbation` and a mean as `sharpness_tracker`.
    """

    def train_step(self, data):
        batch = keras.utils.unpack_x_y_sample_weight(data)
        variables = self._prepare(batch)

        # 1. Loss and gradients at w.
        clean = PassScope(variables, [tf.convert_to_tensor(v) for v in variables])
        loss, gradients, y_pred = self._run_pass(clean, variables, batch)

        # 2. The rule turns the gradients into e(w).
        with clean:
            weights = [tf.convert_to_tensor(v) for v in variables]
            epsilons = self.perturbation(self._unscaled(gradients, variables), variables)

        # 3. Loss and gradients at w + e(w).
        clean.rewind()
        shifted = PassScope(variables, map(_shift, weights, epsilons))
        shifted_loss, shifted_gradients, _ = self._run_pass(shifted, variables, batch)
        _check_second_pass(variables, gradients, shifted_gradients)

        # 4. Nothing has been written so far. In a graph, nothing is before the gradients are there:
        # weight decay and statistics would not wait for them.
        with tf.control_dependencies([g for g in shifted_gradients if g is not None]):
            clean.commit()
            self.optimizer.apply_gradients(zip(shifted_gradients, variables, strict=True))
        return self._logs(batch, y_pred, loss, shifted_loss)

    def _prepare(self, batch):
        """The trainable variables, after creating what the model, rule and optimizer lack."""
        if not _keras.is_built(self):
            _keras.build(self, batch[0])
        variables = self.trainable_variables
        if not variables:
            raise ValueError(
                f"`{self.name}` has no trainable weights: there is nothing to perturb or to train. "
                "Unfreeze a layer before calling `compile()`."
            )
        with tf.init_scope():
            self.perturbation.build(variables)
            if not self.optimizer.built:
                self.optimizer.build(variables)
        return variables

    def _run_pass(self, scope, variables, batch):
        """Loss, gradients (scaled as the optimizer asks) and predictions inside `scope`."""
        x, y, sample_weight = batch
        with scope:
            weights = [tf.convert_to_tensor(v) for v in variables]
            with tf.GradientTape() as tape:
                tape.watch(weights)
                y_pred = _keras.forward(self, x)
                loss = _keras.compute_loss(self, x, y, y_pred, sample_weight)
                scaled_loss = self.optimizer.scale_loss(loss)
            _check_read_in_scope(variables, tape)
            return loss, tape.gradient(scaled_loss, weights), y_pred

    def _unscaled(self, gradients, variables):
        """Dense gradients of the loss itself: a rule's average is not scale-invariant."""
        scale = self.optimizer.scale_loss(1.0)
        gradients = [
            None if g is None else _dense(g, v) for g, v in zip(gradients, variables, strict=True)
        ]
        if isinstance(scale, float) and scale == 1.0:
            return gradients
        return [None if g is None else g / tf.cast(scale, g.dtype) for g in gradients]

    def _logs(self, batch, y_pred, loss, shifted_loss):
        x, y, sample_weight = batch
        size = tf.shape(next(leaf for leaf in keras.tree.flatten(x) if leaf is not None))[0]
        loss, shifted_loss = _keras.unscale_loss(loss), _keras.unscale_loss(shifted_loss)
        _keras.loss_tracker(self).update_state(loss, sample_weight=size)
        self.sharpness_tracker.update_state(shifted_loss - loss, sample_weight=size)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def _dense(gradient, variable):
    gradient = tf.convert_to_tensor(gradient)
    # In a graph, the gradient of a kernel lacks the shape that the layer's inputs lack.
    gradient.set_shape(variable.shape)
    return gradient


def _shift(weight, epsilon):
    return weight if epsilon is None else weight + tf.cast(epsilon, weight.dtype)


_AROUND = (
    "A layer's `call` must not be a `tf.function` of its own: it keeps the weights it was traced "
    "with, and has no loss at w + e(w). Received: such a layer with the weights {}"
)


def _check_read_in_scope(variables, tape):
    """The tape must not have seen a weight itself, only what stands for it in the pass."""
    watched = {id(v) for v in tape.watched_variables()}
    around = [v.path for v in variables if id(_keras.stored(v)) in watched]
    if around:
        raise ValueError(_AROUND.format(around))


def _check_second_pass(variables, gradients, shifted_gradients):
    """The loss at w + e depends on the weights that the loss at w depends on.

    In a graph. Eagerly, Python code in a model's `call` may well choose another way each time.
    """
    pairs = zip(variables, gradients, shifted_gradients, strict=True)
    around = [v.path for v, g, shifted in pairs if (g is None) != (shifted is None)]
    if around and not tf.executing_eagerly():
        raise ValueError(_AROUND.format(around))

import keras
import tensorflow as tf

from keras_zsharp._keras import assign_in_place, read_in_place


@tf.custom_gradient
def _assigned(weight, value):
    """`value`, with the gradient of `weight`: what assigning a weight means to the tape."""
    return tf.identity(value), lambda upstream: (upstream, None)


class PassScope(keras.StatelessScope):
    """Runs one pass with given weights; no variable changes until `commit`.

    Args:
        variables: The trainable variables.
        weights: What they stand for inside the scope, one tensor each.
        fixed: Whether the weights stay as given where a layer assigns them in its `call`
            (`SpectralNormalization`): the second pass is about w + e and no other point.
    """

    def __init__(self, variables, weights, fixed=False):
        super().__init__(list(zip(variables, weights, strict=True)), collect_losses=True)
        self._weights = {id(v) for v in variables}
        self._fixed = fixed
        self._graph = tf.compat.v1.get_default_graph()
        self._updates = {}
        self._looped = {}

    def add_update(self, update):
        variable, value = update
        if tf.compat.v1.get_default_graph() is not self._graph:
            self._assign_in_loop(variable, value)
            return
        if id(variable) in self._weights:
            if self._fixed:
                return
            value = _assigned(self.get_current_value(variable), value)
        super().add_update((variable, value))
        self._updates[id(variable)] = variable

    def _assign_in_loop(self, variable, value):
        """Assigns a variable from within a loop or branch: its tensors do not live outside of it.

        Such are the seeds of dropout in a custom RNN cell. They are kept as they were, for
        `rewind` to hand them to the second pass.
        """
        if id(variable) not in self._looped:
            with self._graph.as_default():
                self._looped[id(variable)] = variable, read_in_place(variable)
        assign_in_place(variable, value)

    def rewind(self):
        """Undoes what the pass assigned in loops; running another pass does it anew."""
        for variable, value in self._looped.values():
            variable.assign(value)

    def commit(self):
        """Assigns what the pass would have assigned. To be called outside of the scope."""
        for variable in self._updates.values():
            variable.assign(self.get_current_value(variable))

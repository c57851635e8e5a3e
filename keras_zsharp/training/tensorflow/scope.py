import tensorflow as tf

from keras_zsharp.keras_internals import assign_in_place, stored
from keras_zsharp.training.assigned import check_no_weight
from keras_zsharp.weight_scope import WeightScope


@tf.custom_gradient
def _assigned(weight, value):
    """`value`, with the gradient of `weight`: what assigning a weight means to the tape."""
    return tf.identity(value), lambda upstream: (upstream, None)


class PassScope(WeightScope):
    """Runs one pass with given weights; no variable changes until `commit`.

    Except for those that a graph assigns in a loop, which `rewind` puts back.

    Args:
        variables: The trainable variables.
        weights: What they stand for inside the scope, one tensor each.
        after: The `PassScope` of an earlier pass, whose state this one starts from and commits too.
    """

    def __init__(self, variables, weights, after=None):
        self._updates = dict(after._updates) if after else {}
        weight_ids = {id(v) for v in variables}
        state = [
            (variable, after.stands_for(variable))
            for key, variable in self._updates.items()
            if key not in weight_ids
        ]
        super().__init__(variables, weights, state)
        self._graph = tf.compat.v1.get_default_graph()
        self._released = {}

    def write(self, variable, value):
        is_weight = self.is_weight(variable)
        if self._in_loop():
            if is_weight:
                raise ValueError(
                    "A weight must not be assigned in a loop or branch of a graph: the training "
                    f"step could not keep it from changing. Received: {variable.path!r}"
                )
            self._release(variable)
            assign_in_place(variable, value)
            return
        if is_weight:
            # A layer that assigns its own weights, such as SpectralNormalization.
            value = _assigned(self.read(variable), value)
        super().write(variable, value)
        self._updates[id(variable)] = variable

    def read(self, variable):
        recorded = id(variable) in self._updates and not self.is_weight(variable)
        if recorded and self._in_loop():
            self._release(variable)
        return super().read(variable)

    def _in_loop(self):
        """Whether a loop's or branch's body is being traced: its tensors do not live outside."""
        return tf.compat.v1.get_default_graph() is not self._graph

    def _release(self, variable):
        """Lets a variable be assigned in place from here on.

        Such are the seeds of dropout in a custom RNN cell: every round of the loop has to find
        what the one before left. `rewind` undoes it for the second pass.
        """
        if self._eager:
            raise ValueError(
                "A layer that assigns a variable must not do so in a `tf.function` of its own "
                "while the model runs eagerly: the second pass could not start from the same "
                f"value. Compile without `run_eagerly`. Received: {variable.path!r}"
            )
        with self._graph.as_default():
            self._released.setdefault(id(variable), (variable, stored(variable).read_value()))
            if self._updates.pop(id(variable), None) is not None:
                assign_in_place(variable, self.take_out(variable))

    def rewind(self):
        """Undoes what the pass assigned in place, for another pass to do it anew."""
        for variable, value in self._released.values():
            variable.assign(value)

    def check_no_weight_assigned(self):
        """Where all of the step's passes are at w + e, a weight would stay there."""
        check_no_weight([v for v in self._updates.values() if self.is_weight(v)])

    def commit(self, condition=None):
        """Assigns what the pass would have assigned. To be called outside of the scope."""
        for variable in self._updates.values():
            assign_if(condition, variable, self.read(variable))


def assign_if(condition, variable, value):
    """Assigns, but keeps what there is where the condition is a tensor that turns out false."""
    variable.assign(value if condition is None else tf.where(condition, value, variable))

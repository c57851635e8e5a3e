"""The pass at w + e must not take from the pass at w what that computed from the weights."""

import tensorflow as tf

from keras_zsharp.weight_scope import NO_FUNCTION


class Operations:
    """Those that the graph being traced gets while this is open, oldest first. None eagerly."""

    def __enter__(self):
        self.graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        self._before = len(self._all())
        return self

    def __exit__(self, *_):
        self.made = self._all()[self._before :]

    def _all(self):
        return self.graph.get_operations() if self.graph else []

    def drawing(self):
        """Names of those with a seed, or with the state of a `tf.random.Generator`.

        Keras' noise has neither. Eagerly, what TensorFlow draws goes unnoticed.
        """
        return [operation.name for operation in self.made if _draws(operation)]


def check_nothing_carried(weights, first, second):
    """No operation of the second pass has an input that depends on the weights of the first.

    Such are a `tf.function` that was traced with them, and a tensor that is kept in an attribute.

    Args:
        weights: What the variables stood for in the first pass.
        first, second: The `Operations` of either pass, the second maybe in a branch.
    """
    carried = {id(w) for w in weights}
    if _alone():
        # Of several replicas, each has operations of the others among its own.
        for operation in first.made:
            if _takes(operation, carried):
                carried.update(map(id, operation.outputs))
    if second.graph is not first.graph:
        carried = {
            id(inside) for outside, inside in second.graph.captures if id(outside) in carried
        }
    names = [operation.name for operation in second.made if _takes(operation, carried)]
    if names:
        raise ValueError(
            f"{NO_FUNCTION}. Received: such a layer or loss with the operations {names[:3]}"
        )


def _takes(operation, carried):
    return any(id(tensor) in carried for tensor in operation.inputs)


def _alone():
    replicas = tf.distribute.get_replica_context()
    return replicas is None or replicas.num_replicas_in_sync == 1


def _draws(operation):
    kind = operation.type
    of_a_generator = kind.startswith(("Rng", "Stateful")) and "PartitionedCall" not in kind
    return of_a_generator or any(a.name == "seed2" for a in operation.op_def.attr)

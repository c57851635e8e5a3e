"""A check that the pass at w + e uses nothing that the pass at w computed from the weights."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_zsharp.backend.tensorflow.weight_scope import NO_FUNCTION


class Operations:
    """The operations that the graph gets within the block, oldest first. None eagerly."""

    def __enter__(self) -> Operations:
        self.graph: Any = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        self._before = len(self._all())
        return self

    def __exit__(self, *_: Any) -> None:
        self.made = self._all()[self._before :]

    def _all(self):
        return self.graph.get_operations() if self.graph else []

    def drawing(self) -> list[str]:
        """The names of the operations with a seed or the state of a `tf.random.Generator`.

        Keras' noise has neither. Eagerly, nothing is found.
        """
        return [operation.name for operation in self.made if _draws(operation)]


def check_nothing_carried(weights: list[tf.Tensor], first: Operations, second: Operations) -> None:
    """Checks that no operation of the second pass depends on the weights of the first.

    Such operations come from a `tf.function` that was traced in the first pass, or from a tensor
    that a layer keeps in an attribute.

    Args:
        weights: The values of the variables in the first pass.
        first: The `Operations` of the first pass.
        second: The `Operations` of the second pass, which may be in a branch.

    Raises:
        ValueError: There is such an operation.
    """
    carried = {id(w) for w in weights}
    if _alone():
        # With several replicas, a replica's operations include some of the others.
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

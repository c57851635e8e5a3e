"""A check that the graph of a pass writes nothing that is not Keras': both passes would do so."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from keras_zsharp.backend.tensorflow.carried import Operations
from keras_zsharp.keras_internals.scoping import stored

WRITES = re.compile(
    "Assign(Add|Sub)?VariableOp|ResourceScatter.*|ResourceStridedSliceAssign"
    "|LookupTable(Insert|Remove|Import)(V2)?"
)
MESSAGE = (
    "In a graph, a layer or loss must not assign a `tf.Variable` or change a table, which both "
    "passes of the step would do. Make it `self.add_weight(..., trainable=False)`, which the clean "
    "pass alone assigns, or compile with `run_eagerly=True`. Received: assignments of {}"
)


@contextlib.contextmanager
def nothing_written(model: Any, operations: Operations) -> Iterator[None]:
    """Encloses a pass, and refuses assignments in its graph. Nothing has been assigned then.

    Args:
        model: The model.
        operations: The `Operations` of the pass, opened in the block. Eagerly there are none.
    """
    yield
    written = [operation.name for operation in _writing(operations, model)]
    if written:
        raise ValueError(MESSAGE.format(written[:3]))


def _writing(operations, model):
    """The operations that assign other variables than the model's, which the step restores."""
    writing = [each for each in operations.made if WRITES.fullmatch(each.type)]
    if writing:
        own = {id(stored(variable).handle) for variable in model.variables}
        own |= {id(inside) for outside, inside in operations.graph.captures if id(outside) in own}
        writing = [each for each in writing if id(each.inputs[0]) not in own]
    return writing

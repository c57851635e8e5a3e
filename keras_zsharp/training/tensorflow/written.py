"""A check that a pass writes no variable that is not Keras': both passes would write it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from keras_zsharp.keras_internals import flat_layers, stored
from keras_zsharp.training.tensorflow.carried import Operations

WRITES = re.compile("Assign(Add|Sub)?VariableOp|ResourceScatter.*|ResourceStridedSliceAssign")
MESSAGE = (
    "A layer or loss must not assign a `tf.Variable`, which both passes of the step would do. Make "
    "it `self.add_weight(..., trainable=False)`, which the clean pass alone assigns. Received: {}"
)


@contextlib.contextmanager
def nothing_written(model: Any, operations: Operations) -> Iterator[None]:
    """Encloses a pass, and refuses assignments in it. In a graph, nothing has been assigned then.

    Args:
        model: The model. Eagerly, each `tf.Variable` among its layers' attributes is checked.
        operations: The `Operations` of the pass, opened in the block.
    """
    variables = _variables(model) if tf.executing_eagerly() else []
    before = [variable.numpy() for variable in variables]
    yield
    written = [operation.name for operation in _writing(operations, model)]
    for variable, value in zip(variables, before, strict=True):
        if (variable.numpy() != value).any():
            written.append(variable.name)
    if written:
        raise ValueError(MESSAGE.format(f"assignments of {written[:3]}"))


def _writing(operations, model):
    """The operations that assign other variables than the model's, which the step restores."""
    writing = [each for each in operations.made if WRITES.fullmatch(each.type)]
    if writing:
        own = {id(stored(variable).handle) for variable in model.variables}
        own |= {id(inside) for outside, inside in operations.graph.captures if id(outside) in own}
        writing = [each for each in writing if id(each.inputs[0]) not in own]
    return writing


def _variables(model):
    attributes = [value for layer in flat_layers(model) for value in vars(layer).values()]
    attributes += [each for value in attributes for each in _inside(value)]
    found = [each for each in attributes if isinstance(each, tf.Variable)]
    return list({id(variable): variable for variable in found}.values())


def _inside(value):
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []

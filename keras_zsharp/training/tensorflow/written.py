"""What a pass writes at once, into variables that are not Keras', the other would write again."""

import contextlib
import re

import tensorflow as tf

from keras_zsharp.keras_internals import flat_layers, stored

WRITES = re.compile("Assign(Add|Sub)?VariableOp|ResourceScatter.*|ResourceStridedSliceAssign")
MESSAGE = (
    "A layer or loss must not assign a `tf.Variable`, which both passes of the step would do. Make "
    "it `self.add_weight(..., trainable=False)`, which the clean pass alone moves. Received: {}"
)


@contextlib.contextmanager
def nothing_written(model, operations):
    """Around a pass: refuses what is assigned in it, in a graph before anything is.

    Args:
        model: Whose layers may have a `tf.Variable` among their attributes: eagerly, these count.
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
    """Those that assign what is no variable of the model's: these the step puts back."""
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
